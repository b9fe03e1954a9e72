// The data path in this kernel: programs loaded, maps filled, pinned. dataplane.cpp loads and exchanges
// instances, loaded_follow.cpp keeps one up to date with its devices.
#pragma once

#include <optional>

#include "dataplane/data_path.hpp"
#include "dataplane/dataplane.hpp"
#include "dataplane/pin_folder.hpp"

namespace sluice {

class LoadedDataplane final : public Dataplane {
  public:
    explicit LoadedDataplane(const Options &options) : options_(options) {}
    ~LoadedDataplane() override;

    Result<> open(const CompiledPolicy &policy);
    Result<> attach() override;
    Result<> prepare(const CompiledPolicy &policy) override;
    Result<> apply(const CompiledPolicy &policy) override;
    Result<bool> look() override;
    Result<> follow() override;
    Result<> sample(uint32_t port) override;
    Result<> pause(uint32_t port, uint16_t quanta) override;
    SpillPath *spill(uint32_t port) override;
    Maps &maps() override { return active_.maps; }
    const std::vector<PortFacts> &ports() const override { return active_.wiring.ports; }
    int events_fd() const override { return active_.instance.map("sl_events"); }
    uint32_t generation() const override { return active_.maps.control[0].generation; }
    Hook hook() const override { return options_.hook; }
    uint64_t instances() const override { return instances_; }
    bool adopted() const override { return adopted_; }
    std::string history() const override { return history_; }

  private:
    Result<> open_pins(const CompiledPolicy &policy, const Wiring &wiring);
    Result<DataPath> build(const CompiledPolicy &policy, Wiring wiring) const;
    Result<> check_pins(const CompiledPolicy &policy) const;
    Result<> fill(DataPath &path, const CompiledPolicy &policy) const;
    Result<> adopt(const CompiledPolicy &policy, Wiring wiring);
    Result<> attach_adopted();
    Result<> flip(const CompiledPolicy &policy);
    Result<> exchange(DataPath &next, DataPath &old, const CompiledPolicy &policy);
    Result<> bring_in(DataPath &next, DataPath &old, const CompiledPolicy &policy);
    Result<> check_attachments(const CompiledPolicy &policy, const Wiring &wiring) const;
    void carry(DataPath &next, const DataPath &old) const;
    Result<> follow_ingress(IngressPort &in, const std::vector<PortFacts> &before);
    Result<> follow_side_path(uint32_t port, const PortFacts &before);
    void want_next_hops() const;
    Result<> pin_again();
    void note_health(DataPath &path, const CompiledPolicy &policy) const;

    Options options_;
    std::optional<PinFolder> pins_;
    CompiledPolicy loaded_;
    DataPath active_; // in force, or to be so with attach()
    DataPath before_; // of an earlier daemon, until attach()
    bool adopted_ = false, attached_ = false;
    uint64_t instances_ = 1;
    std::string history_;

    std::vector<PortFacts> seen_; // by look(), not acted on yet
    bool unfinished_ = false;     // follow() failed: the next look shall try again

    // what prepare() found for the policy of this hash
    std::optional<uint64_t> prepared_for_;
    std::optional<DataPath> prepared_; // none: the instance in force will do
};

} // namespace sluice
