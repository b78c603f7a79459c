#include "bench/op_list.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "bench/op_shape.h"
#include "bench/random_images.h"
#include "engine/evaluator.h"
#include "engine/trainer.h"
#include "kernels/runtime/check.h"
#include "nets/resnet.h"

namespace tdds {
namespace {

std::unique_ptr<Net> make_net(const BenchNet& net, DeviceKind device) {
  return make_resnet({.arch = net.arch,
                      .classes = net.classes,
                      .width = net.width,
                      .image_size = net.image,
                      .input_channels = device == DeviceKind::kCpu ? 3 : 8,
                      .stem = net.image > kLargestCifarLike ? Stem::kImageNet : Stem::kCifar});
}

bool takes_tickets(const BenchOp& op) {
  return std::string_view(op.op.work.name).starts_with("batchnorm");
}
bool moves_state(const BenchOp& op) {
  const std::string_view name = op.op.work.name;
  return name == "advance" || name == "check_finite";
}

// Copies the whole pages of an operand to new ones, which then take the place of the old.
void move_to_other_pages(void* memory, std::size_t bytes) {
  constexpr std::size_t kPage = 4096, kHugePage = std::size_t{2} << 20;
  const bool huge = bytes >= kHugePage;
  const std::size_t size = bytes / kPage * kPage, reserved = size + (huge ? kHugePage : 0);
  if (size == 0) return;
  void* room =
      mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check(room != MAP_FAILED, "cannot move the operands to other memory: {}", std::strerror(errno));
  // As HostDevice::allocate() does it.
  std::size_t before = 0;
  if (huge) {
    before = kHugePage - reinterpret_cast<std::uintptr_t>(room) % kHugePage;
    madvise(room, reserved, MADV_HUGEPAGE);
  }
  char* pages = static_cast<char*>(room) + before;
  std::memcpy(pages, memory, size);
  check(mremap(pages, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, memory) == memory,
        "cannot move the operands to other memory: {}", std::strerror(errno));
  if (huge) munmap(room, before);
  if (reserved > before + size) munmap(pages + size, reserved - before - size);
}

}  // namespace

// A network on one batch of random images, with everything that its ops refer to.
struct OpList::Workload {
  std::unique_ptr<Stream> stream;
  std::unique_ptr<Net> net;
  DeviceDataset set;
  PassPool pool;
  std::optional<Trainer> trainer, accumulating;
  std::optional<Evaluator> evaluator;
  OtherOps others;
  DeviceMemory state_before;  // the step's state when it was traced

  Workload(Device& device, const BenchNet& shape, const Precision& precision)
      : stream(device.make_stream()),
        net(make_net(shape, device.kind())),
        set(device, *stream, random_images(shape.batch, shape.image, shape.classes), {0.5f, 0.5f, 0.5f},
            {0.25f, 0.25f, 0.25f}),
        pool(device, *net) {
    net->params().place(device, *stream, precision.compute);
    net->params().initialize(*stream, 42);
    TrainOptions options{.batch = shape.batch,
                         .epochs = 3,
                         .learning_rate = 1e-3,
                         .dynamics = true,
                         .weights = std::vector<float>(static_cast<std::size_t>(shape.batch), 1.0f),
                         .compute = precision.compute,
                         .math = precision.math,
                         .algo = shape.conv_algo,
                         .loss_scale = precision.loss_scale,
                         .record_steps = false};
    trainer.emplace(device, *stream, *net, pool, set, options);
    if (shape.batch % 2 == 0) {
      options.accumulate = 2;
      accumulating.emplace(device, *stream, *net, pool, set, options);
    }
    evaluator.emplace(device, *stream, *net, pool, set, shape.batch, precision.compute, precision.math,
                      shape.conv_algo);
    pool.place();
  }

  void* state() const { return trainer->state_arrays().front().device_memory; }
};

OpList::OpList(Device& device, const BenchNet& net, PrecisionKind precision)
    : device_(device),
      workload_(std::make_unique<Workload>(device_, net, precision_on(device.kind(), precision))) {
  Workload& work = *workload_;
  const auto traced = [&](const auto& run) {
    device_.ops().clear();
    run();
    work.stream->synchronize();
    return std::move(device_.ops());
  };
  work.trainer->step();  // the first visit; a later one also compares with it
  work.trainer->end_epoch();
  add(traced([&] { work.trainer->step(); }), /*of_step=*/true);
  // The other ops of these are those of the step, at positions that these moved.
  add(traced([&] { work.evaluator->run(); }), false, "batchnorm_inference");
  if (work.accumulating) add(traced([&] { work.accumulating->step(); }), false, "accumulate");
  add(traced([&] {
        work.others = call_other_ops(device_, *work.stream, precision_on(device.kind(), precision).compute);
      }),
      false);
  // The state at the beginning of the third epoch is that at the beginning of any other, but for the epoch.
  work.trainer->end_epoch();
  work.state_before = DeviceMemory(device, sizeof(StepState), "the state of a step");
  work.stream->copy(work.state_before.data(), work.state(), sizeof(StepState));
  work.stream->synchronize();
}

OpList::~OpList() = default;

// Calls of one op and shape count as one.
void OpList::add(const std::vector<TracedOp>& traced, bool of_step, std::string_view only) {
  for (const TracedOp& op : traced) {
    const std::string_view op_name = op.work.name;
    if (!op_name.starts_with(only)) continue;
    std::string shape = op_shape(op.work);
    const auto same = std::find_if(ops_.begin(), ops_.end(), [&](const BenchOp& other) {
      return op_name == other.op.work.name && other.op.work.bytes == op.work.bytes && other.shape == shape;
    });
    if (same != ops_.end()) {
      same->calls += of_step ? 1 : 0;
      continue;
    }
    std::string name = op.work.name + (op.layer.empty() ? "" : "/" + op.layer);
    if (std::any_of(ops_.begin(), ops_.end(), [&](const BenchOp& other) { return other.name == name; }))
      name += fmt::format("/{:.3g}MB", 1e-6 * op.work.bytes);
    ops_.push_back({std::move(name), op, std::move(shape), of_step ? 1 : 0});
  }
}

bool OpList::needs_undo(const BenchOp& op) const {
  return takes_tickets(op) || moves_state(op);
}

void OpList::undo(const BenchOp& op, Stream& stream) const {
  if (takes_tickets(op)) {
    const auto* tickets = device_.find("tickets");
    stream.zero(tickets->memory, tickets->bytes);
  } else if (moves_state(op)) {
    stream.copy(workload_->state(), workload_->state_before.data(), sizeof(StepState));
  }
}

void OpList::move_memory() {
  if (device_.kind() == DeviceKind::kCuda) return;
  for (const TracingDevice::Allocation& one : device_.memory()) move_to_other_pages(one.memory, one.bytes);
}

}  // namespace tdds
