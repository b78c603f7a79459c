#pragma once
// How far a long loop is: a bar with rate and time left on a terminal, a plain line now and then elsewhere.
//
//   epoch 3/200 [=========>          ]  45 %  61 images/s  0:07:30 left  loss 1.234

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace tdds {

// Where progress goes. on_stderr() finds out what stderr is.
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
  std::int64_t before = 0;  // of `done`, by then: no part of the pace
};

// One line without a newline. The bar fits `width` - 1 columns: the bar shrinks, then the note is cut.
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

  // So much was done by an earlier run. Call it before the first update.
  void start_at(std::int64_t done) { before_ = done_ = done; }
  void update(std::int64_t done, std::string_view note = {});
  // True where the next update will be shown: a note that is costly to make is wanted only then.
  bool due() const;
  // Clears the bar. Called by the destructor too.
  void finish();

  // Seconds since the start, and what was done in them / seconds.
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
