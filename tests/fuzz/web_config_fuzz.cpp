// The file of --web.config.file: refused with a reason, or as it was written.
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include "api/web_config.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    using namespace sluice;
    static const int file = memfd_create("web.yml", MFD_CLOEXEC);
    static const std::string path = "/proc/self/fd/" + std::to_string(file);
    fuzz::require(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == static_cast<ssize_t>(size),
                  "the input can be written to memory");
    const auto config = load_web_config(path);
    if (!config) {
        fuzz::require(!to_string(config.error()).empty(), "a refusal says why");
        return 0;
    }
    for (const auto &[user, hash] : config->users)
        fuzz::require(hash.size() == 60, "no password without a hash");
    if (config->tls)
        fuzz::require(!config->tls->cert_file.empty() && !config->tls->key_file.empty(),
                      "no TLS without a key");
    return 0;
}
