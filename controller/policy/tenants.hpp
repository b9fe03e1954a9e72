// Tenants come from the policy file and from a file beside it; both are read with the same keys.
#pragma once

#include "policy/keys.hpp"

namespace sluice {

bool read_tenant(Reader &r, const Node &node, Tenant &out);

// Appends the tenants of `text`, a line each under a line of column names.
void read_tenant_file(Reader &r, std::string_view text, Tenants &out);

// The same file as a list of maps, one per tenant, as `tenants.list` would have them. Reports nothing.
Node tenant_file_document(std::string_view text);

// Names, groups and prefixes, when both sources have been read. Tenants from index `first_of_csv` on came out
// of the file that `csv` reports on; null when there is none.
void check_tenants(Reader &yaml, Reader *csv, Tenants &tenants, size_t first_of_csv);

} // namespace sluice
