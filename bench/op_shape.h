#pragma once
// The shape of a traced call as text, so that a reader of the result, such as bench/torch_ops.py, can make
// the same call.

#include <string>

#include "kernels/ops/op_work.h"

namespace tdds {

// "batch=128 positions=16 channels=512 dtype=f32"; empty for an op of which only its bytes are known.
std::string op_shape(const OpWork& work);

}  // namespace tdds
