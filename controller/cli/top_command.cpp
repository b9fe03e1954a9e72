// sluicectl top: the live view. ncurses on a terminal, plain text or JSON where there is none.
#include <chrono>
#include <clocale>
#include <iostream>
#include <thread>

#include <unistd.h>

#include <curses.h>

#include "api/json.hpp"
#include "cli/client.hpp"
#include "cli/commands.hpp"
#include "cli/report_error.hpp"
#include "cli/top_table.hpp"

namespace sluice {
namespace {

Result<Snapshot> ask(const Context &context) {
    const auto answer = Client(context.control_socket).get("/api/v1/status");
    if (!answer)
        return tl::unexpected(answer.error());
    if (answer->status != 200)
        return fail("sluiced answered with HTTP status " + std::to_string(answer->status));
    return snapshot_from_json(answer->body);
}

// The terminal belongs to ncurses as long as this lives.
class Screen {
  public:
    Screen() {
        std::setlocale(LC_ALL, "");
        initscr();
        cbreak();
        noecho();
        keypad(stdscr, TRUE);
        curs_set(0);
        if (has_colors()) {
            start_color();
            use_default_colors();
            init_pair(static_cast<short>(TopStyle::good), COLOR_GREEN, -1);
            init_pair(static_cast<short>(TopStyle::warning), COLOR_YELLOW, -1);
            init_pair(static_cast<short>(TopStyle::bad), COLOR_RED, -1);
        }
    }
    ~Screen() { endwin(); }
    Screen(const Screen &) = delete;
    Screen &operator=(const Screen &) = delete;

    void draw(const std::vector<TopLine> &lines, size_t first, const std::string &foot) {
        erase();
        const auto height = static_cast<size_t>(std::max(2, LINES)) - 1;
        for (size_t i = 0; i < height && first + i < lines.size(); i++)
            put(static_cast<int>(i), lines[first + i].text, attribute(lines[first + i].style));
        put(LINES - 1, foot, A_DIM);
        refresh();
    }

    // A key, or ERR after `timeout_ms`.
    int key(int timeout_ms) {
        timeout(timeout_ms);
        return getch();
    }

  private:
    static void put(int line, const std::string &text, attr_t attributes) {
        attrset(attributes);
        mvaddnstr(line, 0, text.c_str(), COLS);
        attrset(A_NORMAL);
    }
    static attr_t attribute(TopStyle style) {
        if (style == TopStyle::head)
            return A_REVERSE;
        if (style == TopStyle::plain || !has_colors())
            return A_NORMAL;
        return static_cast<attr_t>(COLOR_PAIR(static_cast<int>(style)));
    }
};

struct Keys {
    TopSort sort = TopSort::backlog;
    size_t first = 0; // line at the top of the screen
    bool paused = false, quit = false;
};

void press(Keys &keys, int key) {
    switch (key) {
    case 'q':
    case 27: // escape
        keys.quit = true;
        break;
    case 's':
        keys.sort = static_cast<TopSort>((static_cast<int>(keys.sort) + 1) % 4);
        break;
    case 'p':
    case ' ':
        keys.paused = !keys.paused;
        break;
    case KEY_DOWN:
    case 'j':
        keys.first++;
        break;
    case KEY_UP:
    case 'k':
        keys.first -= keys.first > 0;
        break;
    default:
        break;
    }
}

using Clock = std::chrono::steady_clock;

// Draws until q; returns the error that ended it, if one did.
Result<> live(const Context &context, double period_s) {
    const auto period = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(period_s));
    auto now = ask(context); // before the screen is taken: its error belongs on the terminal
    if (!now)
        return tl::unexpected(now.error());
    Snapshot before = *now;
    Screen screen;
    Keys keys;
    auto next = Clock::now() + period;
    while (!keys.quit) {
        const Top top = make_top(&before, *now, keys.sort);
        const auto lines = top_lines(*now, top, keys.sort);
        keys.first = std::min(keys.first, lines.size() - 1);
        screen.draw(lines, keys.first,
                    keys.paused ? "paused: space to go on" : "q quit  s sort  space pause  up/down scroll");
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next - Clock::now()).count();
        if (const int key = screen.key(static_cast<int>(std::max<int64_t>(0, left))); key != ERR) {
            press(keys, key);
            continue;
        }
        next = std::max(next + period, Clock::now());
        if (keys.paused)
            continue;
        auto fresh = ask(context);
        if (!fresh)
            return tl::unexpected(fresh.error());
        before = std::move(*now);
        now = std::move(fresh);
    }
    return {};
}

Result<> once(const Context &context, double period_s) {
    const auto before = ask(context);
    if (!before)
        return tl::unexpected(before.error());
    std::this_thread::sleep_for(std::chrono::duration<double>(period_s));
    const auto now = ask(context);
    if (!now)
        return tl::unexpected(now.error());
    const Top top = make_top(&*before, *now, TopSort::backlog);
    if (context.format == OutputFormat::json) {
        context.out << top_json(top);
        return {};
    }
    for (const auto &line : top_lines(*now, top, TopSort::backlog))
        context.out << line.text << "\n";
    return {};
}

} // namespace

ExitCode run_top(const Context &context, const TopOptions &options) {
    const bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    const auto done = options.once || !terminal || context.format == OutputFormat::json
                          ? once(context, options.period_s)
                          : live(context, options.period_s);
    return done ? ExitCode::ok : report_error(context, done.error());
}

} // namespace sluice
