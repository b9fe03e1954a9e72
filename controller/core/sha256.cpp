#include "core/sha256.hpp"

#include <array>

#include <gnutls/crypto.h>

namespace sluice {

std::string sha256_hex(std::string_view bytes) {
    std::array<unsigned char, 32> digest{};
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes.data(), bytes.size(), digest.data()) != 0)
        return {}; // a GnuTLS that was told to refuse SHA-256: the policy still loads, nameless
    static constexpr char hex[] = "0123456789abcdef";
    std::string out;
    for (unsigned char b : digest) {
        out += hex[b >> 4];
        out += hex[b & 15];
    }
    return out;
}

} // namespace sluice
