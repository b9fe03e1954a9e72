#include "policy/load.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/sha256.hpp"
#include "policy/check.hpp"
#include "policy/document.hpp"
#include "policy/plain_text.hpp"
#include "policy/sections.hpp"

namespace sluice {
namespace {

constexpr size_t most_bytes = 1 << 20;

class File {
  public:
    explicit File(const std::string &path) : fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
    ~File() {
        if (fd >= 0)
            close(fd);
    }
    File(const File &) = delete;
    File &operator=(const File &) = delete;

    const int fd;
};

LoadResult refused(const std::string &file, std::string message) {
    return {std::nullopt, {Diagnostic{file, {}, Diagnostic::error, std::move(message), {}, {}}}};
}

std::string cause(const char *operation, int err) {
    return std::string(operation) + ": " + std::strerror(err);
}

// One byte more than allowed is enough to tell that there is too much. Returns 0 or an errno value.
int read_all(int fd, std::string &out) {
    out.resize(most_bytes + 1);
    size_t used = 0;
    while (used < out.size()) {
        const ssize_t n = read(fd, out.data() + used, out.size() - used);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n == 0)
            break;
        used += n > 0 ? static_cast<size_t>(n) : 0;
    }
    out.resize(used);
    return 0;
}

} // namespace

LoadResult load_policy_text(std::string_view text, const std::string &file_name) {
    if (text.size() > most_bytes)
        return refused(file_name, "the policy is larger than 1 MiB");
    const std::string sha256 = sha256_hex(text);
    if (text.starts_with("\xef\xbb\xbf"))
        text.remove_prefix(3); // byte order mark
    if (const auto unreadable = find_unreadable(text))
        return refused(file_name, *unreadable);

    Report report(file_name, text);
    Policy policy;
    if (const auto root = read_document(text, report)) {
        Reader reader(report);
        policy = read_policy(reader, *root);
        check_ports(reader, *root, policy);
        check_rates(reader, *root, policy);
    }
    policy.file = file_name;
    policy.sha256 = sha256;
    LoadResult result;
    if (!report.has_error())
        result.policy = std::move(policy);
    result.diagnostics = report.take();
    return result;
}

LoadResult load_policy_file(const std::string &path) {
    const File file(path);
    if (file.fd < 0)
        return refused(path, cause("cannot open the file", errno));
    struct stat st {};
    if (fstat(file.fd, &st) != 0)
        return refused(path, cause("cannot examine the file", errno));
    if (!S_ISREG(st.st_mode))
        return refused(path, "not a regular file");
    std::string text;
    if (const int err = read_all(file.fd, text))
        return refused(path, cause("cannot read the file", err));

    LoadResult result = load_policy_text(text, path);
    if (st.st_mode & S_IWOTH)
        result.diagnostics.insert(result.diagnostics.begin(),
                                  Diagnostic{path,
                                             {},
                                             Diagnostic::warning,
                                             "every user can write this file: chmod o-w takes that away",
                                             {},
                                             {}});
    return result;
}

} // namespace sluice
