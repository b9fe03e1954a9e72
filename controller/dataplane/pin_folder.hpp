// The folder of pins in the BPF file system, as files: which instances of the data path there are, which one
// is in force, which process owns them. Programs and maps themselves are of no concern here.
//
// Other versions of sluiced and users of library mode rely on the layout: it does not change with the
// contract.
//   ROOT/v<contract>/current -> <n>        the instance in force
//   ROOT/v<contract>/<n>/maps/<name>
//   ROOT/v<contract>/<n>/programs/<name>   ingress_<ifindex> of each fast port, and the others by their names
//   ROOT/v<contract>/<n>/links/<name>      xdp_<ifindex> of each fast port, and those of the tracepoints
//   ROOT/v<contract>/<n>/notes/<key> -> <value>  what the instance was loaded for; there are no plain files
//   here
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/fd.hpp"
#include "core/result.hpp"

namespace sluice {

class PinFolder {
  public:
    // Makes the folder where it is missing. Busy, with its pid, when another process has it.
    static Result<PinFolder> open(const std::string &root);
    // The folder as it is; nothing where there is none.
    static Result<std::optional<PinFolder>> find(const std::string &root);

    // The instance in force: of this contract version, else of the highest other one.
    std::optional<std::filesystem::path> current() const;
    // An empty instance, not in force yet; its number was never used before on this boot.
    Result<std::filesystem::path> create() const;
    Result<> put_in_force(const std::filesystem::path &instance) const;
    std::vector<std::filesystem::path> instances() const;
    // Removes all instances but this one, of all contract versions. Whatever nobody else holds is freed.
    void keep_only(const std::filesystem::path &instance) const;
    // Removes everything, the folder included.
    Result<> remove() const;

  private:
    PinFolder(std::filesystem::path root, Fd lock) : root_(std::move(root)), lock_(std::move(lock)) {}
    static Result<PinFolder> lock(const std::filesystem::path &root);
    std::filesystem::path version_folder() const;

    std::filesystem::path root_;
    Fd lock_; // of the folder itself, held while this object lives
};

// "" where there is no such note.
std::string read_note(const std::filesystem::path &instance, const std::string &key);
Result<> write_note(const std::filesystem::path &instance, const std::string &key, const std::string &value);

} // namespace sluice
