#pragma once
// CIFAR-10 and CIFAR-100 (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009) in
// their published forms: the binary version, the Python version as torchvision unpacks it, and the .tar.gz of
// either. Source of the layouts and checksums: https://www.cs.toronto.edu/~kriz/cifar.html.

#include "engine/data/dataset.h"

namespace tdds {

bool is_cifar(const std::string& name);  // "cifar10" or "cifar100"

// The whole official split, in file order: name, train, test, classes, class_names, mean, std, notes; the
// remaining fields are left empty. With options.download, fetches the archive if nothing is found. Throws
// Error that names the file or the folders searched, and how to fix it.
Dataset load_cifar(const DatasetOptions& options);

}  // namespace tdds
