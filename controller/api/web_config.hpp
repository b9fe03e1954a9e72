// The file of `--web.config.file`: TLS, client certificates and passwords of the TCP listener, in the format
// that exporters of the Prometheus world share (exporter-toolkit, docs/web-configuration.md). What sluice
// cannot do is refused by name, never ignored: an operator who asks for protection must not believe in one
// that is not there.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/result.hpp"

namespace sluice {

// In the order of Go's crypto/tls, whose words the format uses.
enum class ClientAuth { none, request, require_any, verify_if_given, require_and_verify };
enum class TlsVersion { tls12, tls13 };

struct WebTls {
    std::string cert_file, key_file, client_ca_file; // PEM; relative names are those of the file's folder
    ClientAuth client_auth = ClientAuth::none;
    TlsVersion min_version = TlsVersion::tls12, max_version = TlsVersion::tls13;
};

struct WebConfig {
    std::optional<WebTls> tls;
    std::map<std::string, std::string> users; // name, bcrypt hash; empty = no password is asked for
};

// The error holds every diagnostic of the file, with line and column.
Result<WebConfig> load_web_config(const std::string &path);

} // namespace sluice
