#include "policy/load.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

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
    return {std::nullopt, {Diagnostic{file, {}, Diagnostic::error, std::move(message), {}, {}}}, {}};
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
std::optional<std::string> read_regular_file(const std::string &path, size_t most, std::string &out) {
    const File file(path);
    if (file.fd < 0)
        return cause("cannot open the file", errno);
    struct stat st {};
    if (fstat(file.fd, &st) != 0)
        return cause("cannot examine the file", errno);
    if (!S_ISREG(st.st_mode))
        return "not a regular file";
    if (st.st_mode & S_IWOTH)
        return "every user can write this file, so anybody could decide what this host forwards: `chmod "
               "o-w " +
               path + "` takes that away";
    if (const int err = read_all(file.fd, most, out))
        return cause("cannot read the file", err);
    if (out.size() > most)
        return "larger than " + std::to_string(most >> 20) + " MiB";
    return std::nullopt;
}

// How the loader gets a file that the policy names: nothing, or what is wrong with it.
using TenantSource = std::function<std::optional<std::string>(const std::string &name, std::string &content)>;

// Reads `tenants.file` of a transition; `all` gets its bytes, for the checksum.
void read_tenant_files(Reader &reader, Transition &t, const TenantSource &source, std::string &all,
                       LoadResult &result) {
    if (!t.tenants)
        return;
    if (t.tenants->file.empty())
        return check_tenants(reader, nullptr, *t.tenants, 0);
    const std::string &name = t.tenants->file, path = beside(result.bytes.file, name);
    std::string content;
    if (const auto problem = source(name, content))
        return reader.error_at(t.tenants->file_pos, path + ": " + *problem);
    const size_t first = t.tenants->list.size();
    Report report(path, content);
    Reader csv(report);
    read_tenant_file(csv, content, *t.tenants);
    check_tenants(reader, &csv, *t.tenants, first);
    const auto found = report.take();
    result.diagnostics.insert(result.diagnostics.end(), found.begin(), found.end());
    all += content;
    if (!result.bytes.tenant_file(name))
        result.bytes.tenant_files.push_back({name, std::move(content)});
}

bool has_error(const std::vector<Diagnostic> &diagnostics) {
    return std::any_of(diagnostics.begin(), diagnostics.end(),
                       [](const Diagnostic &d) { return d.severity == Diagnostic::error; });
}

LoadResult load(std::string_view text, const std::string &file, const TenantSource &source) {
    if (text.size() > most_bytes)
        return refused(file, "the policy is larger than 1 MiB; many tenants go into `tenants.file`");
    LoadResult result;
    result.bytes = {file, std::string(text), {}};
    std::string all(text);
    if (text.starts_with("\xef\xbb\xbf"))
        text.remove_prefix(3); // byte order mark
    Report report(file, text);
    Policy policy;
    if (const auto unreadable = find_unreadable(text)) {
        result.diagnostics = refused(file, *unreadable).diagnostics;
    } else if (const auto root = read_document(text, report)) {
        Reader reader(report);
        policy = read_policy(reader, *root);
        for (auto &t : policy.transitions)
            read_tenant_files(reader, t, source, all, result);
        check_ports(reader, *root, policy);
        check_rates(reader, policy);
        check_ways_out(reader, *root, policy);
    }
    policy.file = file;
    policy.sha256 = sha256_hex(all);
    const auto found = report.take();
    result.diagnostics.insert(result.diagnostics.begin(), found.begin(), found.end());
    if (!has_error(result.diagnostics))
        result.policy = std::move(policy);
    return result;
}

} // namespace

size_t PolicyBytes::size() const {
    size_t sum = text.size();
    for (const auto &f : tenant_files)
        sum += f.text.size();
    return sum;
}

const PolicyBytes::TenantFile *PolicyBytes::tenant_file(const std::string &name) const {
    const auto found = std::find_if(tenant_files.begin(), tenant_files.end(),
                                    [&](const TenantFile &f) { return f.name == name; });
    return found == tenant_files.end() ? nullptr : &*found;
}

std::string beside(const std::string &policy_file, const std::string &name) {
    const size_t slash = policy_file.rfind('/');
    return name.starts_with('/') || slash == std::string::npos ? name
                                                               : policy_file.substr(0, slash + 1) + name;
}

LoadResult load_policy_text(std::string_view text, const std::string &file_name) {
    return load(text, file_name, [&](const std::string &name, std::string &content) {
        return read_regular_file(beside(file_name, name), most_tenant_bytes, content);
    });
}

LoadResult load_policy_bytes(PolicyBytes bytes) {
    return load(bytes.text, bytes.file,
                [&](const std::string &name, std::string &content) -> std::optional<std::string> {
                    const auto *file = bytes.tenant_file(name);
                    if (!file)
                        return "is not among the files that came with the policy";
                    content = file->text;
                    return std::nullopt;
                });
}

LoadResult load_policy_file(const std::string &path) {
    std::string text;
    if (const auto problem = read_regular_file(path, most_bytes, text)) {
        LoadResult result = refused(path, *problem);
        result.bytes = {path, std::move(text), {}};
        return result;
    }
    return load_policy_text(text, path);
}

} // namespace sluice
