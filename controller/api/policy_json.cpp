#include "api/policy_json.hpp"

#include <nlohmann/json.hpp>

namespace sluice {
namespace {

using nlohmann::json;

constexpr double longest_trial_s = 7 * 24 * 3600;

json to_json(const PolicyBytes &bytes) {
    json files = json::array();
    for (const auto &f : bytes.tenant_files)
        files.push_back({{"name", f.name}, {"text", f.text}});
    return {{"file", bytes.file}, {"text", bytes.text}, {"tenant_files", files}};
}

PolicyBytes bytes_from(const json &value) {
    PolicyBytes bytes{value.at("file").get<std::string>(), value.at("text").get<std::string>(), {}};
    for (const auto &f : value.value("tenant_files", json::array()))
        bytes.tenant_files.push_back({f.at("name").get<std::string>(), f.at("text").get<std::string>()});
    return bytes;
}

std::string dump(const json &value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

template <class F> auto parse(const std::string &text, F convert) -> Result<decltype(convert(json()))> {
    try {
        return convert(json::parse(text));
    } catch (const json::exception &e) {
        return fail(std::string("read a policy: ") + e.what(),
                    "sluicectl and sluiced may be of different versions");
    }
}

std::optional<double> seconds_from(const json &value, const char *name) {
    const auto found = value.find(name);
    return found == value.end() || found->is_null() ? std::nullopt : std::optional(found->get<double>());
}

json number_or_null(const std::optional<double> &value) {
    return value ? json(*value) : json(nullptr);
}

} // namespace

std::string_view to_string(PolicySource source) {
    switch (source) {
    case PolicySource::file:
        return "file";
    case PolicySource::applied:
        return "applied";
    case PolicySource::last_good:
        break;
    }
    return "last_good";
}

std::string to_json_text(const ApplyRequest &request) {
    json value = to_json(request.bytes);
    value["confirm_within_s"] = number_or_null(request.confirm_within_s);
    return dump(value);
}

std::string to_json_text(const RunningPolicy &policy) {
    json value = to_json(policy.bytes);
    value["sha256"] = policy.sha256;
    value["source"] = to_string(policy.source);
    value["policy_file"] = policy.policy_file;
    value["confirm_until_unix_s"] = number_or_null(policy.confirm_until_unix_s);
    return dump(value);
}

Result<ApplyRequest> apply_request_from_json(const std::string &text) {
    auto request = parse(text, [](const json &value) {
        return ApplyRequest{bytes_from(value), seconds_from(value, "confirm_within_s")};
    });
    if (request && request->confirm_within_s &&
        !(*request->confirm_within_s > 0 && *request->confirm_within_s <= longest_trial_s))
        return fail("confirm_within_s is not a time between 0 and a week");
    return request;
}

Result<RunningPolicy> running_policy_from_json(const std::string &text) {
    return parse(text, [](const json &value) {
        RunningPolicy policy;
        policy.bytes = bytes_from(value);
        policy.sha256 = value.value("sha256", "");
        policy.policy_file = value.value("policy_file", "");
        for (auto source : {PolicySource::file, PolicySource::applied, PolicySource::last_good})
            if (value.value("source", "") == to_string(source))
                policy.source = source;
        policy.confirm_until_unix_s = seconds_from(value, "confirm_until_unix_s");
        return policy;
    });
}

} // namespace sluice
