#include "policy/load.hpp"

#include <algorithm>
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
#include "policy/tenants.hpp"

namespace sluice {
namespace {

constexpr size_t most_bytes = 1 << 20, most_tenant_bytes = 64 << 20;

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
int read_all(int fd, size_t most, std::string &out) {
    out.resize(most + 1);
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

// None, or what is wrong with the file.
std::optional<std::string> read_regular_file(const std::string &path, size_t most, std::string &out,
                                             bool *world_writable = nullptr) {
    const File file(path);
    if (file.fd < 0)
        return cause("cannot open the file", errno);
    struct stat st {};
    if (fstat(file.fd, &st) != 0)
        return cause("cannot examine the file", errno);
    if (!S_ISREG(st.st_mode))
        return "not a regular file";
    if (const int err = read_all(file.fd, most, out))
        return cause("cannot read the file", err);
    if (out.size() > most && !world_writable)
        return "larger than " + std::to_string(most >> 20) + " MiB";
    if (world_writable)
        *world_writable = st.st_mode & S_IWOTH;
    return std::nullopt;
}

} // namespace

namespace {

std::string beside(const std::string &policy_file, const std::string &name) {
    const size_t slash = policy_file.rfind('/');
    return name.starts_with('/') || slash == std::string::npos ? name
                                                               : policy_file.substr(0, slash + 1) + name;
}

// Reads `tenants.file` of a transition; `text` gets its bytes, for the checksum.
void read_tenant_files(Reader &reader, Transition &t, const std::string &policy_file, std::string &text,
                       std::vector<Diagnostic> &diagnostics) {
    if (!t.tenants)
        return;
    if (t.tenants->file.empty())
        return check_tenants(reader, nullptr, *t.tenants, 0);
    const std::string path = beside(policy_file, t.tenants->file);
    std::string content;
    if (const auto problem = read_regular_file(path, most_tenant_bytes, content))
        return reader.error_at(t.tenants->file_pos, path + ": " + *problem);
    const size_t first = t.tenants->list.size();
    Report report(path, content);
    Reader csv(report);
    read_tenant_file(csv, content, *t.tenants);
    check_tenants(reader, &csv, *t.tenants, first);
    const auto found = report.take();
    diagnostics.insert(diagnostics.end(), found.begin(), found.end());
    text += content;
}

bool has_error(const std::vector<Diagnostic> &diagnostics) {
    return std::any_of(diagnostics.begin(), diagnostics.end(),
                       [](const Diagnostic &d) { return d.severity == Diagnostic::error; });
}

} // namespace

LoadResult load_policy_text(std::string_view text, const std::string &file_name) {
    if (text.size() > most_bytes)
        return refused(file_name, "the policy is larger than 1 MiB; many tenants go into `tenants.file`");
    std::string all(text);
    if (text.starts_with("\xef\xbb\xbf"))
        text.remove_prefix(3); // byte order mark
    if (const auto unreadable = find_unreadable(text))
        return refused(file_name, *unreadable);

    Report report(file_name, text);
    Policy policy;
    LoadResult result;
    if (const auto root = read_document(text, report)) {
        Reader reader(report);
        policy = read_policy(reader, *root);
        for (auto &t : policy.transitions)
            read_tenant_files(reader, t, file_name, all, result.diagnostics);
        check_ports(reader, *root, policy);
        check_rates(reader, policy);
        check_ways_out(reader, *root, policy);
    }
    policy.file = file_name;
    policy.sha256 = sha256_hex(all);
    const auto found = report.take();
    result.diagnostics.insert(result.diagnostics.begin(), found.begin(), found.end());
    if (!has_error(result.diagnostics))
        result.policy = std::move(policy);
    return result;
}

LoadResult load_policy_file(const std::string &path) {
    std::string text;
    bool world_writable = false;
    if (const auto problem = read_regular_file(path, most_bytes, text, &world_writable))
        return refused(path, *problem);
    LoadResult result = load_policy_text(text, path);
    if (world_writable)
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
