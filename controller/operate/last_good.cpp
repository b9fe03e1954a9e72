#include "operate/last_good.hpp"

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fd.hpp"
#include "core/sha256.hpp"

namespace sluice {
namespace {

constexpr mode_t mode = 0640; // addresses of customers are in it

// The header tells the length of each part, so that the parts themselves need no quoting:
//   # sluice: the last policy that worked
//   # sha256 <of what follows the header>
//   # policy <bytes> <path>
//   # tenants <bytes> <name>        for each file that the policy names
//   #
constexpr const char *first_line = "# sluice: the last policy that worked. Written by sluiced, for sluiced.";

std::string with_header(const PolicyBytes &bytes, const std::string &sha256) {
    std::string body = bytes.text;
    std::string names;
    for (const auto &f : bytes.tenant_files) {
        names += "# tenants " + std::to_string(f.text.size()) + " " + f.name + "\n";
        body += f.text;
    }
    return std::string(first_line) + "\n# policy-sha256 " + sha256 + "\n# sha256 " + sha256_hex(body) +
           "\n# policy " + std::to_string(bytes.text.size()) + " " + bytes.file + "\n" + names + "#\n" + body;
}

Result<> write_all(int fd, const std::string &text, const std::string &path) {
    for (size_t done = 0; done < text.size();) {
        const ssize_t n = write(fd, text.data() + done, text.size() - done);
        if (n < 0 && errno != EINTR)
            return fail_errno(errno, "write " + path);
        done += n > 0 ? static_cast<size_t>(n) : 0;
    }
    if (fsync(fd) != 0)
        return fail_errno(errno, "sync " + path);
    return {};
}

Result<> write_file(const std::string &path, const std::string &text) {
    const Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!fd)
        return fail_errno(errno, "create " + path);
    return write_all(fd.get(), text, path);
}

tl::unexpected<Error> damaged(const std::string &path, const std::string &why) {
    return fail("read " + path + ": " + why, "it is not used; a policy that works replaces it");
}

struct Part {
    std::string name;
    size_t bytes = 0;
};

// "# policy 123 /etc/sluice/policy.yaml"
std::optional<Part> part(const std::string &line, const std::string &word) {
    std::istringstream in(line);
    std::string hash, first;
    Part out;
    if (!(in >> hash >> first >> out.bytes) || hash != "#" || first != word || in.get() != ' ')
        return std::nullopt;
    std::getline(in, out.name);
    return out;
}

} // namespace

Result<> LastGood::save(const PolicyBytes &bytes, const std::string &sha256) const {
    if (!wanted())
        return {};
    if (mkdir(folder_.c_str(), 0750) != 0 && errno != EEXIST)
        return fail_errno(errno, "create the state folder " + folder_);
    const std::string beside = path() + ".new";
    if (auto r = write_file(beside, with_header(bytes, sha256)); !r) {
        unlink(beside.c_str());
        return r;
    }
    if (rename(beside.c_str(), path().c_str()) != 0)
        return fail_errno(errno, "rename " + beside);
    const Fd folder(open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || fsync(folder.get()) != 0)
        return fail_errno(errno, "sync " + folder_);
    return {};
}

Result<PolicyBytes> LastGood::read() const {
    if (!wanted())
        return fail("no state folder was given, so no last good policy is kept", "--state-dir");
    std::ifstream in(path(), std::ios::binary);
    if (!in)
        return fail_errno(errno, "open the last good policy " + path());
    std::string line, sum;
    std::optional<Part> policy;
    std::vector<Part> tenants;
    while (std::getline(in, line) && line != "#") {
        if (line.starts_with("# sha256 "))
            sum = line.substr(9);
        else if (const auto p = part(line, "policy"))
            policy = p;
        else if (const auto t = part(line, "tenants"))
            tenants.push_back(*t);
    }
    if (!policy || line != "#")
        return damaged(path(), "its header is not complete");
    const std::string body(std::istreambuf_iterator<char>(in), {});
    if (sha256_hex(body) != sum)
        return damaged(path(), "its checksum is wrong");
    PolicyBytes bytes{policy->name, body.substr(0, policy->bytes), {}};
    size_t at = policy->bytes;
    for (const Part &t : tenants) {
        if (at > body.size())
            return damaged(path(), "it is too short");
        bytes.tenant_files.push_back({t.name, body.substr(at, t.bytes)});
        at += t.bytes;
    }
    return bytes;
}

} // namespace sluice
