#include "apps/cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace tdds {
namespace {

constexpr auto kRedrawInterval = std::chrono::milliseconds(100);
constexpr int kWidestBar = 40, kNarrowestBar = 5;

// "61 images/s  0:07:30 left", as far as it is known.
std::string pace_text(const ProgressState& state) {
  const std::int64_t done = state.done - state.before;
  if (state.seconds <= 0 || done <= 0) return {};
  const double rate = static_cast<double>(done) / state.seconds;
  std::string text = fmt::format("  {:.{}f} {}/s", rate, rate < 10 ? 2 : 0, state.unit);
  if (state.done < state.total)
    text += fmt::format("  {} left", clock_text(static_cast<double>(state.total - state.done) / rate));
  return text;
}

double share_done(const ProgressState& state) {
  if (state.total <= 0) return 1;
  return std::clamp(static_cast<double>(state.done) / static_cast<double>(state.total), 0.0, 1.0);
}

std::string note_text(const ProgressState& state) {
  return state.note.empty() ? std::string() : fmt::format("  {}", state.note);
}

}  // namespace

std::string clock_text(double seconds) {
  const std::int64_t whole = std::llround(seconds);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

ProgressOutput ProgressOutput::on_stderr() {
  ProgressOutput output{.file = stderr, .terminal = isatty(STDERR_FILENO) != 0, .width = 80};
  winsize size{};
  if (output.terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    output.width = size.ws_col;
  return output;
}

std::string progress_bar(const ProgressState& state, int width) {
  const int columns = std::max(width - 1, 0);
  const std::string left(state.label);
  const std::string right =
      fmt::format(" {:3.0f} %{}{}", std::floor(100 * share_done(state)), pace_text(state), note_text(state));
  const int room = columns - static_cast<int>(left.size() + right.size()) - 3;
  std::string line = left;
  if (room >= kNarrowestBar) {
    const int bar = std::min(room, kWidestBar);
    const int filled = static_cast<int>(share_done(state) * bar);
    const int empty = std::max(bar - filled - 1, 0);
    line += fmt::format(" [{:=<{}}{}{:{}}", "", filled, filled < bar ? ">" : "", "", empty);
    line += "]";
  }
  line += right;
  return line.substr(0, columns);
}

std::string progress_line(const ProgressState& state) {
  return fmt::format("{} {}/{} {}{}{}", state.label, state.done, state.total, state.unit, pace_text(state),
                     note_text(state));
}

Progress::Progress(std::string label, std::int64_t total, std::string unit, std::int64_t print_every,
                   ProgressOutput output)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      output_(output),
      total_(total),
      print_every_(print_every) {}

bool Progress::due() const {
  if (output_.terminal) return Clock::now() - last_draw_ >= kRedrawInterval;
  return print_every_ > 0 && (updates_ + 1) % print_every_ == 0;
}

void Progress::update(std::int64_t done, std::string_view note) {
  const bool show = due();
  done_ = done;
  ++updates_;
  if (!show) return;
  const ProgressState state{label_, unit_, note, done_, total_, seconds(), before_};
  if (output_.terminal) {
    std::fputs(fmt::format("\r{}\x1b[K", progress_bar(state, output_.width)).c_str(), output_.file);
    last_draw_ = Clock::now();
    drawn_ = true;
  } else {
    std::fputs(fmt::format("{}\n", progress_line(state)).c_str(), output_.file);
  }
  std::fflush(output_.file);
}

void Progress::finish() {
  if (!drawn_) return;
  std::fputs("\r\x1b[K", output_.file);
  std::fflush(output_.file);
  drawn_ = false;
}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

double Progress::rate() const {
  const double elapsed = seconds();
  return elapsed > 0 ? static_cast<double>(done_ - before_) / elapsed : 0;
}

}  // namespace tdds
