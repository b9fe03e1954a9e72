// Words for the closed sets of the contract: label values in metrics, reasons in status and events.
#pragma once

#include <sluice/abi.h>
#include <sluice/rings/table.h>

#include <string_view>

namespace sluice {

std::string_view outcome_name(unsigned outcome);         // enum sluice_outcome
std::string_view would_name(unsigned would);             // enum sluice_would
std::string_view kernel_drop_name(unsigned kernel_drop); // enum sluice_kernel_drop
std::string_view reader_name(unsigned reader);           // enum sluice_reader
std::string_view trust_name(unsigned trust);             // enum sluice_trust

} // namespace sluice
