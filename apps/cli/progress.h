#pragma once
// Progress of a long loop: a bar with rate and time left on a terminal, occasional plain lines elsewhere.
//
//   epoch 3/200 [=========>          ]  45 %  61 images/s  0:07:30 left  loss 1.234

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace tdds {

// Where progress is printed. on_stderr() detects a terminal.
struct ProgressOutput {
  std::FILE* file;
  bool terminal;  // redraw one line; else print plain lines
  int width;      // columns of the terminal

  static ProgressOutput on_stderr();
};

struct ProgressState {
  std::string_view label;
  std::string_view unit;  // "images"
  std::string_view note;  // shown last: "loss 1.234"
  std::int64_t done;
  std::int64_t total;
  double seconds;           // since the start
  std::int64_t before = 0;  // part of `done` that does not count in the rate
};

// One line without a newline. To fit into `width` - 1 columns, the bar shrinks, then the note is cut.
std::string progress_bar(const ProgressState& state, int width);
std::string progress_line(const ProgressState& state);

// "1:02:03", hours first.
std::string clock_text(double seconds);

class Progress {
 public:
  // On a terminal at most 10 redraws a second; elsewhere a line at every `print_every`th update (0: none).
  Progress(std::string label, std::int64_t total, std::string unit, std::int64_t print_every,
           ProgressOutput output = ProgressOutput::on_stderr());
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { finish(); }

  // Sets how much an earlier run did. Call it before the first update.
  void start_at(std::int64_t done) { before_ = done_ = done; }
  void update(std::int64_t done, std::string_view note = {});
  // Whether the next update will be shown. A costly note is needed only then.
  bool due() const;
  // Clears the bar. The destructor calls it too.
  void finish();

  // Seconds since the start, and what was done in them per second.
  double seconds() const;
  double rate() const;

 private:
  using Clock = std::chrono::steady_clock;
  std::string label_, unit_;
  ProgressOutput output_;
  Clock::time_point start_ = Clock::now(), last_draw_{};
  std::int64_t total_, print_every_, before_ = 0, done_ = 0, updates_ = 0;
  bool drawn_ = false;
};

}  // namespace tdds
