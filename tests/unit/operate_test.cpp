// Which policy is in force: files, trials, the last good one, what changes. A data path that only takes
// notes.
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.hpp"
#include "operate/file_watch.hpp"
#include "operate/last_good.hpp"
#include "operate/policy_control.hpp"
#include "policy/compare.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

std::string policy(const std::string &rate, const std::string &more = "") {
    return "version: 1\nports:\n  lan: {device: eth0}\n  wan: {device: eth1, rate: " + rate +
           "}\ntransitions:\n  - from: lan\n    to: wan\n" + more;
}

class Folder : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/sluice-operate-XXXXXX";
        folder = mkdtemp(name);
        file = folder / "policy.yaml";
    }
    void TearDown() override { fs::remove_all(folder); }
    static void write(const fs::path &path, const std::string &text) { std::ofstream(path) << text; }
    // As editors and configuration managers do it.
    static void replace(const fs::path &path, const std::string &text) {
        write(path.string() + ".tmp", text);
        fs::rename(path.string() + ".tmp", path);
    }

    fs::path folder, file;
};

// ---- PolicyControl

class Control : public Folder {
  protected:
    void start(const std::string &state = "") {
        control = std::make_unique<PolicyControl>(file, state);
        auto booted = control->boot();
        ASSERT_TRUE(booted) << to_string(booted.error());
        rate = *booted->source.ports[1].rate_bytes_per_s;
        control->started([this](const CompiledPolicy &p) -> Result<> {
            if (refuses)
                return fail("no room");
            rate = *p.source.ports[1].rate_bytes_per_s;
            installs++;
            return {};
        });
    }
    ReloadOutcome apply(const std::string &text, std::optional<double> confirm_within_s = {},
                        uint64_t now_ns = 1) {
        return control->apply({{"/tmp/sent.yaml", text, {}}, confirm_within_s}, now_ns);
    }
    uint64_t mbit() const { return rate * 8 / 1'000'000; }
    // The watch works in a thread of its own; nothing here depends on how fast.
    template <class F> static bool soon(F condition) {
        for (int i = 0; i < 1000 && !condition(); i++)
            std::this_thread::sleep_for(10ms);
        return condition();
    }

    std::unique_ptr<PolicyControl> control;
    std::atomic<uint64_t> rate = 0;
    std::atomic<int> installs = 0;
    bool refuses = false;
};

TEST_F(Control, ReloadTakesAGoodFileAndCountsABadOne) {
    write(file, policy("50mbit"));
    start();
    write(file, policy("25mbit"));
    EXPECT_EQ(control->reload().status, ReloadStatus::applied);
    EXPECT_EQ(mbit(), 25u);
    write(file, policy("25mbit") + "typo: 1\n");
    const auto bad = control->reload();
    EXPECT_EQ(bad.status, ReloadStatus::invalid);
    EXPECT_FALSE(bad.diagnostics.empty());
    refuses = true;
    write(file, policy("10mbit"));
    EXPECT_EQ(control->reload().status, ReloadStatus::failed);
    const auto state = control->state();
    EXPECT_EQ(mbit(), 25u);
    EXPECT_EQ(state.applied, 1u);
    EXPECT_EQ(state.invalid, 1u);
    EXPECT_EQ(state.failed, 1u);
    EXPECT_EQ(state.generation, 2u);
    EXPECT_FALSE(state.last_change_ok);
    EXPECT_EQ(control->running().bytes.text, policy("25mbit"));
}

TEST_F(Control, ATrialComesBackUnlessConfirmed) {
    write(file, policy("50mbit"));
    start();
    EXPECT_TRUE(apply(policy("20mbit"), 60.0, 1'000).confirm_until_unix_s);
    EXPECT_EQ(mbit(), 20u);
    control->expire(60'000'000'000);
    EXPECT_EQ(mbit(), 20u) << "a moment early";
    control->expire(60'000'001'000);
    EXPECT_EQ(mbit(), 50u);
    EXPECT_EQ(control->state().rollbacks_unconfirmed, 1u);
    EXPECT_FALSE(control->state().confirm_until_unix_s);
    EXPECT_EQ(control->running().source, PolicySource::file);

    apply(policy("20mbit"), 60.0, 1'000);
    EXPECT_EQ(control->confirm().status, ReloadStatus::applied);
    control->expire(UINT64_MAX);
    EXPECT_EQ(mbit(), 20u);
    EXPECT_EQ(control->confirm().status, ReloadStatus::nothing);
}

TEST_F(Control, NothingElseChangesDuringATrial) {
    write(file, policy("50mbit"));
    start();
    apply(policy("20mbit"), 60.0);
    EXPECT_EQ(apply(policy("10mbit")).status, ReloadStatus::busy);
    EXPECT_EQ(control->reload().status, ReloadStatus::busy);
    EXPECT_EQ(mbit(), 20u);
    EXPECT_EQ(control->rollback().status, ReloadStatus::applied);
    EXPECT_EQ(mbit(), 50u);
    EXPECT_EQ(control->reload().status, ReloadStatus::applied);
}

TEST_F(Control, RollbackGoesToThePolicyBeforeAndForthAgain) {
    write(file, policy("50mbit"));
    start();
    EXPECT_EQ(control->rollback().status, ReloadStatus::nothing);
    apply(policy("20mbit"));
    control->rollback();
    EXPECT_EQ(mbit(), 50u);
    control->rollback();
    EXPECT_EQ(mbit(), 20u);
    EXPECT_EQ(control->state().rollbacks_asked, 2u);
}

TEST_F(Control, ATrialEndsByItself) {
    write(file, policy("50mbit"));
    start();
    std::jthread trials([&](const std::stop_token &stop) { control->run_trials(stop); });
    control->apply({{"f", policy("20mbit"), {}}, 0.05}, monotonic_ns());
    EXPECT_TRUE(soon([&] { return mbit() == 50; }));
}

TEST_F(Control, TheLastGoodPolicyStartsTheDaemonWhenTheFileIsBad) {
    const auto state = folder / "state";
    write(file, policy("50mbit"));
    start(state);
    EXPECT_TRUE(control->state().last_good_saved);
    apply(policy("20mbit"), 60.0);
    write(file, "version: 1\nports:");
    start(state);
    EXPECT_EQ(mbit(), 50u) << "what nobody confirmed is not good yet";
    EXPECT_EQ(control->state().source, PolicySource::last_good);
    EXPECT_NE(control->state().degraded.find(file), std::string::npos);
    EXPECT_FALSE(control->state().last_change_ok);

    write(file, policy("30mbit"));
    EXPECT_EQ(control->reload().status, ReloadStatus::applied);
    EXPECT_EQ(control->state().degraded, "");
    fs::remove(file);
    start(state);
    EXPECT_EQ(mbit(), 30u);
}

TEST_F(Control, WithoutALastGoodPolicyABadFileIsAnErrorOfItsOwnKind) {
    for (const auto &state : {std::string(), (folder / "state").string()}) {
        PolicyControl none(file, state);
        const auto booted = none.boot();
        ASSERT_FALSE(booted);
        EXPECT_EQ(booted.error().kind, ErrorKind::policy_invalid);
    }
}

TEST_F(Control, AStateFolderThatCannotBeWrittenChangesNothingElse) {
    write(file, policy("50mbit"));
    write(folder / "no-folder", "");
    start(folder / "no-folder");
    EXPECT_FALSE(control->state().last_good_saved);
    EXPECT_EQ(apply(policy("20mbit")).status, ReloadStatus::applied);
    EXPECT_EQ(mbit(), 20u);
    EXPECT_EQ(control->state().degraded, "");
}

// ---- LastGood

TEST_F(Folder, LastGoodKeepsBytesAndFilesAndNoticesDamage) {
    const LastGood store(folder / "state");
    EXPECT_FALSE(store.read());
    const PolicyBytes bytes{
        "/etc/sluice/policy.yaml", "version: 1\n#\n# sha256 no\n", {{"a b.csv", "x\n#\n"}, {"c", ""}}};
    ASSERT_TRUE(store.save(bytes, "abc"));
    const auto back = store.read();
    ASSERT_TRUE(back) << to_string(back.error());
    EXPECT_EQ(back->file, bytes.file);
    EXPECT_EQ(back->text, bytes.text);
    ASSERT_EQ(back->tenant_files.size(), 2u);
    EXPECT_EQ(back->tenant_files[0].name, "a b.csv");
    EXPECT_EQ(back->tenant_files[0].text, "x\n#\n");
    struct stat info {};
    ASSERT_EQ(stat(store.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0027, 0u) << "not for others";

    std::ofstream(store.path(), std::ios::app) << "tail";
    EXPECT_FALSE(store.read());
    fs::resize_file(store.path(), 40);
    EXPECT_FALSE(store.read());
}

TEST_F(Folder, AFullDiskLeavesTheOlderPolicy) {
    const LastGood store(folder);
    ASSERT_TRUE(store.save({"p", "old", {}}, "1"));
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{100, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small); // write() fails in the middle, as on a disk that is full
    const auto saved = store.save({"p", "new" + std::string(200, ' '), {}}, "2");
    setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_FALSE(saved);
    EXPECT_FALSE(fs::exists(store.path() + ".new"));
    ASSERT_TRUE(store.read());
    EXPECT_EQ(store.read()->text, "old");
}

// ---- the watch

class Watch : public Control {
  protected:
    void watch() {
        start();
        thread = std::jthread([this](const std::stop_token &stop) { control->run_watch(stop); });
        std::this_thread::sleep_for(50ms); // whether it watches already or not, it must come to the same
    }
    bool becomes(uint64_t wanted) {
        return soon([&] { return mbit() == wanted; });
    }

    std::jthread thread;
};

TEST_F(Watch, SeesARenameAndAWriteInPlace) {
    write(file, policy("50mbit"));
    watch();
    replace(file, policy("40mbit"));
    EXPECT_TRUE(becomes(40));
    write(file, policy("30mbit"));
    EXPECT_TRUE(becomes(30));
    fs::remove(file);
    EXPECT_TRUE(soon([&] { return control->state().invalid == 1; }));
    write(file, policy("20mbit"));
    EXPECT_TRUE(becomes(20));
}

// kubelet: ..data -> ..<time>, policy.yaml -> ..data/policy.yaml; a new folder, then one rename of ..data.
TEST_F(Watch, SeesTheSwapOfAConfigMap) {
    const auto version = [&](const std::string &name, const std::string &text) {
        fs::create_directory(folder / name);
        write(folder / name / "policy.yaml", text);
        fs::create_symlink(name, folder / "..data_tmp");
        fs::rename(folder / "..data_tmp", folder / "..data");
    };
    version("..1", policy("50mbit"));
    fs::create_symlink("..data/policy.yaml", file);
    watch();
    for (int i = 2; i < 6; i++) {
        version(".." + std::to_string(i), policy(std::to_string(50 - i) + "mbit"));
        fs::remove_all(folder / (".." + std::to_string(i - 1)));
        EXPECT_TRUE(becomes(static_cast<uint64_t>(50 - i)));
    }
    EXPECT_EQ(installs, 4) << "one reload per swap";
}

TEST_F(Watch, AHalfWrittenFileIsNotRead) {
    write(file, policy("50mbit"));
    watch();
    std::ofstream out(file); // truncates
    out << policy("40mbit").substr(0, 60) << std::flush;
    write(folder / "other", "");
    std::this_thread::sleep_for(400ms);
    EXPECT_EQ(control->state().invalid, 0u);
    out << policy("40mbit").substr(60);
    out.close();
    EXPECT_TRUE(becomes(40));
    EXPECT_EQ(control->state().invalid, 0u);
    EXPECT_EQ(installs, 1);
}

TEST_F(Watch, ABadFileIsCountedOnceAndWatchingGoesOn) {
    write(file, policy("50mbit"));
    watch();
    replace(file, "nonsense");
    EXPECT_TRUE(soon([&] { return control->state().invalid == 1; }));
    replace(file, "nonsense");
    replace(file, policy("40mbit"));
    EXPECT_TRUE(becomes(40));
    EXPECT_EQ(control->state().invalid, 1u);
}

TEST_F(Watch, FollowsTheTenantFile) {
    const auto csv = [](const std::string &ceil) {
        return "name,match,ceil\nalice,192.0.2.0/28," + ceil + "\n";
    };
    fs::create_directory(folder / "customers");
    write(folder / "customers/t.csv", csv("1mbit"));
    write(file, policy("50mbit", "    tenants: {by: dst, file: customers/t.csv}\n"));
    watch();
    replace(folder / "customers/t.csv", csv("2mbit"));
    EXPECT_TRUE(soon([&] { return installs == 1; }));
    EXPECT_EQ(control->running().bytes.tenant_files.at(0).text, csv("2mbit"));
}

TEST_F(Watch, WaitsForTheEndOfATrial) {
    write(file, policy("50mbit"));
    watch();
    apply(policy("20mbit"), 60.0);
    replace(file, policy("40mbit"));
    std::this_thread::sleep_for(300ms);
    EXPECT_EQ(mbit(), 20u);
    control->confirm();
    EXPECT_TRUE(becomes(40));
}

TEST_F(Watch, ThePolicyThatWasAppliedFirstIsNotLoadedAgain) {
    write(file, policy("50mbit"));
    watch();
    apply(policy("20mbit"));
    replace(file, policy("20mbit"));
    EXPECT_TRUE(soon([&] { return control->state().source == PolicySource::file; }));
    EXPECT_EQ(installs, 1);
}

// ---- what changes

std::vector<std::string> changes(const std::string &before, const std::string &after) {
    std::vector<std::string> out;
    for (const auto &c : compare_policies({"a", before, {}}, {"b", after, {}}))
        out.push_back(to_string(c) + (c.programs ? " !" : ""));
    return out;
}

using Lines = std::vector<std::string>;

TEST(Compare, SaysWhatChangesByTheWordsOfTheFile) {
    EXPECT_EQ(changes(policy("50mbit"), policy("50mbit") + "# a comment\n"), Lines{});
    EXPECT_EQ(changes(policy("1000mbit"), policy("1gbit")), Lines{}) << "spelling";
    EXPECT_EQ(changes(policy("50mbit"), policy("50mbit", "    mode: enforce\n")), Lines{}) << "a default";
    EXPECT_EQ(changes(policy("50mbit"),
                      policy("50mbit").replace(policy("50mbit").find("from: lan"), 9, "from: [lan]")),
              Lines{});
    EXPECT_EQ(changes(policy("50mbit"), policy("25mbit", "    mode: shadow\n    aqm: {target: 10ms}\n")),
              (Lines{"port wan: rate 50mbit -> 25mbit", "transition to wan: mode enforce -> shadow",
                     "transition to wan: aqm.target auto -> 10ms"}));
}

TEST(Compare, ClassesComeGoChangeAndMove) {
    const std::string before = policy("50mbit", "    classes:\n"
                                                "      - {name: voice, match: [{dscp: ef}], priority: 0}\n"
                                                "      - {name: bulk, match: [{dscp: cs1}]}\n"
                                                "      - {name: default}\n");
    const std::string after =
        policy("50mbit", "    classes:\n"
                         "      - {name: bulk, match: [{dscp: cs1}], weight: 2}\n"
                         "      - {name: voice, match: [{dscp: [ef, va]}], priority: 0}\n"
                         "      - name: office\n"
                         "        classes: [{name: mail, match: [{dport: 25}]}]\n"
                         "      - {name: default}\n");
    EXPECT_EQ(changes(before, after),
              (Lines{"transition to wan, class voice: match [{dscp: ef}] -> [{dscp: [ef, va]}]",
                     "transition to wan, class bulk: weight 1 -> 2",
                     "transition to wan, class office: added, {name: office, classes: [{name: mail, match: "
                     "[{dport: 25}]}]}",
                     "transition to wan: order of classes voice, bulk, default -> bulk, voice, default"}));
}

TEST(Compare, NamesWhatTakesOtherPrograms) {
    std::string after = policy("50mbit");
    after.replace(after.find("eth1"), 4, "eth7");
    EXPECT_EQ(changes(policy("50mbit"), after), Lines{"port wan: device eth1 -> eth7 !"});
    EXPECT_EQ(changes(policy("50mbit"), policy("50mbit", "    forward: xconnect\n")),
              Lines{"transition to wan: forward fib -> xconnect !"});
    EXPECT_EQ(changes(policy("50mbit"), policy("50mbit", "  - {from: wan, to: lan}\n")),
              Lines{"transition to lan: added, {from: wan, to: lan} !"});
}

TEST(Compare, TenantsOfAFileByName) {
    const std::string text = policy("50mbit", "    tenants: {by: dst, file: t.csv}\n");
    const std::string head = "name,match,ceil\n";
    std::vector<std::string> out;
    for (const auto &c :
         compare_policies({"a", text, {{"t.csv", head + "alice,192.0.2.1,1mbit\nbob,192.0.2.2,\n"}}},
                          {"b", text, {{"t.csv", head + "alice,192.0.2.1,2mbit\ncarol,192.0.2.3,\n"}}}))
        out.push_back(to_string(c));
    EXPECT_EQ(out, (Lines{"transition to wan, tenant alice: ceil 1mbit -> 2mbit",
                          "transition to wan, tenant bob: removed, was {name: bob, match: [192.0.2.2]}",
                          "transition to wan, tenant carol: added, {name: carol, match: [192.0.2.3]}"}));
}

} // namespace
} // namespace sluice
