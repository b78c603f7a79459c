// stb_image, instrumented; the engine links Debian's library.
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
