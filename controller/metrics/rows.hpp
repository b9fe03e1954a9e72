// Makers of catalogue rows, one per scope (daemon, port, ring, class, reasons of a list). A scope fixes the
// labels; the row adds a name and a value. `value` is a member pointer or a function; whatever it returns
// must convert to std::optional<double>, and an empty result means: no such series now.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "metrics/metric.hpp"

namespace sluice::rows {

// The words of a row that do not depend on its scope.
struct Words {
    std::string name;
    MetricKind kind;
    std::string unit, help;
};

inline Metric make(Words w, std::vector<std::string> labels,
                   std::function<std::vector<Sample>(const Scrape &)> collect) {
    return {std::move(w.name), w.kind, std::move(w.unit), std::move(labels), std::move(w.help),
            std::move(collect)};
}

inline void add(std::vector<Sample> &samples, std::vector<std::string> label_values,
                std::optional<double> value) {
    if (value)
        samples.push_back({std::move(label_values), *value});
}

template <class Value> Metric daemon(Words words, Value value) {
    return make(std::move(words), {}, [value](const Scrape &scrape) {
        std::vector<Sample> samples;
        add(samples, {}, std::invoke(value, scrape.snapshot));
        return samples;
    });
}

template <class Value> Metric process(Words words, Value value) {
    return make(std::move(words), {}, [value](const Scrape &scrape) {
        std::vector<Sample> samples;
        add(samples, {}, std::invoke(value, scrape.process));
        return samples;
    });
}

template <class Value> Metric port(Words words, Value value) {
    return make(std::move(words), {"device", "port"}, [value](const Scrape &scrape) {
        std::vector<Sample> samples;
        for (const auto &p : scrape.snapshot.ports)
            add(samples, {p.device, p.name}, std::invoke(value, p));
        return samples;
    });
}

// One series per reason of the list that `list` points to.
inline Metric port_reasons(Words words, std::vector<Count> PortState::*list) {
    return make(std::move(words), {"device", "port", "reason"}, [list](const Scrape &scrape) {
        std::vector<Sample> samples;
        for (const auto &p : scrape.snapshot.ports)
            for (const auto &count : p.*list)
                add(samples, {p.device, p.name, count.name}, count.packets);
        return samples;
    });
}

// A port without a ring reader has none.
inline Metric port_histogram(Words words, DelayHistogram PortState::*histogram) {
    return make(std::move(words), {"device", "port"}, [histogram](const Scrape &scrape) {
        std::vector<Sample> samples;
        for (const auto &p : scrape.snapshot.ports)
            if (const auto &h = p.*histogram; !h.frames.empty())
                samples.push_back({{p.device, p.name}, static_cast<double>(h.sum_ns) / 1e9, h.frames});
        return samples;
    });
}

inline Metric class_histogram(Words words, DelayHistogram ClassState::*histogram) {
    return make(std::move(words), {"device", "transition", "class"}, [histogram](const Scrape &scrape) {
        std::vector<Sample> samples;
        for (const auto &p : scrape.snapshot.ports)
            for (const auto &c : p.classes)
                if (const auto &h = c.*histogram; !h.frames.empty())
                    samples.push_back(
                        {{p.device, c.transition, c.name}, static_cast<double>(h.sum_ns) / 1e9, h.frames});
        return samples;
    });
}

template <class Value> Metric ring(Words words, Value value) {
    return make(std::move(words), {"device", "port", "ring"}, [value](const Scrape &scrape) {
        std::vector<Sample> samples;
        for (const auto &p : scrape.snapshot.ports)
            for (const auto &r : p.rings)
                add(samples, {p.device, p.name, std::to_string(r.index)}, std::invoke(value, r));
        return samples;
    });
}

template <class Value> Metric traffic_class(Words words, Value value) {
    return make(std::move(words), {"device", "transition", "class"}, [value](const Scrape &scrape) {
        std::vector<Sample> samples;
        for (const auto &p : scrape.snapshot.ports)
            for (const auto &c : p.classes)
                add(samples, {p.device, c.transition, c.name}, std::invoke(value, c));
        return samples;
    });
}

inline Metric class_reasons(Words words, std::vector<Count> ClassState::*list) {
    return make(std::move(words), {"device", "transition", "class", "reason"}, [list](const Scrape &scrape) {
        std::vector<Sample> samples;
        for (const auto &p : scrape.snapshot.ports)
            for (const auto &c : p.classes)
                for (const auto &count : c.*list)
                    add(samples, {p.device, c.transition, c.name, count.name}, count.packets);
        return samples;
    });
}

} // namespace sluice::rows
