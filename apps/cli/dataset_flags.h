#pragma once
// The flags of a user's own images, which every program that loads a data set has.

#include "engine/dataset.h"

namespace CLI {
class App;
}

namespace tdds {

void declare_image_flags(CLI::App& app, DatasetOptions& options);

// Long work on a data set says what it is about to do and how far it is: on the console.
void show_loading(DatasetOptions& options);

}  // namespace tdds
