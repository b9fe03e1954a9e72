// Answers that sluicectl gets, from whatever listens on the socket: an error, or values that print again.
// The first byte picks the kind of answer.
#include "api/json.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    using namespace sluice;
    if (size == 0)
        return 0;
    const std::string text(fuzz::text_of(data + 1, size - 1));
    switch (data[0] % 5) {
    case 0:
        if (const auto snapshot = snapshot_from_json(text)) {
            const auto printed = to_json_text(*snapshot);
            const auto again = snapshot_from_json(printed);
            fuzz::require(again && to_json_text(*again) == printed, "a snapshot survives printing");
        }
        break;
    case 1:
        if (const auto page = drop_page_from_json(text))
            fuzz::require(drop_page_from_json(to_json_text(*page)).has_value(),
                          "a page of drops survives printing");
        break;
    case 2:
        for (const int status : {200, 422, 500, 404})
            if (const auto outcome = reload_outcome_from_json(status, text))
                fuzz::require(!to_json_text(*outcome).empty(), "an outcome prints");
        break;
    case 3:
        if (const auto explanations = explanations_from_json(text))
            fuzz::require(!to_json_text(*explanations).empty(), "explanations print");
        break;
    default:
        fuzz::require(!error_from_json(500, text).empty(), "an error says something");
    }
    return 0;
}
