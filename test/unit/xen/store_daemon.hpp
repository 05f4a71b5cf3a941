// SPDX-License-Identifier: MIT
// The xenstore's daemon in memory: speaks the protocol of the shared page octet by octet, as slowly as it is told to,
// with transactions, watches and errors as the real one has them. Tests reach into its nodes as domain 0 does.
#pragma once
#include "mirage/xen/public.hpp"
#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace mirage::xen::test {

class store_daemon {
    using nodes = std::map<std::string, std::string>;
    struct watch {
        std::string path; ///< as it was registered
        std::string whole;
        std::string token;
    };
    struct transaction {
        nodes copy;
        std::uint64_t began_at = 0;
        std::vector<std::string> changed{};
    };

    nodes nodes_{};
    std::uint64_t changes_ = 0;
    std::vector<watch> watches_{};
    std::map<std::uint32_t, transaction> transactions_{};
    std::uint32_t last_transaction_ = 0;
    std::string in_{}, out_{};
    std::string home_;
    alignas(4096) xenstore_domain_interface page_{};

public:
    // How it behaves.
    std::size_t per_turn = 100'000;        ///< octets in each direction in one serve()
    bool answers = true;                   ///< false: takes requests, and answers none
    unsigned conflicts = 0;                ///< so many commits find that somebody else was faster
    std::map<std::string, std::string> errors{}; ///< paths (whole) at which every request fails, and with what error
    std::size_t most_watches = 128;        ///< of the domain
    std::size_t most_transactions = 10;    ///< of the domain at a time

    // What it has seen.
    std::size_t requests = 0;
    std::vector<std::string> log{}; ///< "READ path", "WRITE path=value", …

    explicit store_daemon(domid_t guest) : home_{"/local/domain/" + std::to_string(guest)} {
        page_.server_features = XENSTORE_SERVER_FEATURE_RECONNECTION;
        set(home_ + "/name", "guest");
    }
    store_daemon(const store_daemon&) = delete;
    store_daemon& operator=(const store_daemon&) = delete;

    xenstore_domain_interface& page() noexcept { return page_; }
    const std::string& home() const noexcept { return home_; }
    std::size_t watches() const noexcept { return watches_.size(); }
    std::size_t transactions() const noexcept { return transactions_.size(); }

    // What domain 0 does. A path that does not begin with '/' is the guest's.
    std::string whole(std::string_view path) const {
        return path.starts_with('/') ? std::string{path} : home_ + '/' + std::string{path};
    }
    std::optional<std::string> get(std::string_view path) const {
        const auto found = nodes_.find(whole(path));
        return found == nodes_.end() ? std::nullopt : std::optional{found->second};
    }
    bool has(std::string_view path) const { return nodes_.contains(whole(path)); }
    void set(std::string_view path, std::string_view value) {
        put(nodes_, whole(path), value);
        changed(whole(path));
    }
    void remove(std::string_view path) {
        const std::string gone = whole(path);
        if (drop(nodes_, gone))
            changed(gone, true);
    }
    std::size_t size() const noexcept { return nodes_.size(); }

    /// Sends octets of any kind, as a daemon that is broken or hostile does.
    void say(std::string_view octets) { out_ += octets; }
    void reply(std::uint32_t type, std::uint32_t id, std::string_view payload) {
        const xsd_sockmsg h{.type = type, .req_id = id, .tx_id = 0, .len = static_cast<std::uint32_t>(payload.size())};
        out_.append(reinterpret_cast<const char*>(&h), sizeof h);
        out_ += payload;
    }

    /// Forgets the domain's connection, as when it is restored elsewhere: an empty ring, no watch, no transaction.
    void start_again() {
        const auto features = page_.server_features;
        page_ = {};
        page_.server_features = features;
        watches_.clear();
        transactions_.clear();
        in_.clear();
        out_.clear();
    }

    /// Does what it can, once. Whether anything moved: then the domain's channel is to be fired.
    bool serve() {
        if (page_.connection == XENSTORE_RECONNECT) {
            start_again();
            return true;
        }
        if (page_.req_prod - page_.req_cons > XENSTORE_RING_SIZE || page_.rsp_prod - page_.rsp_cons > XENSTORE_RING_SIZE)
            return false; // a daemon gives up such a domain
        bool moved = false;
        std::size_t n = std::min<std::size_t>(page_.req_prod - page_.req_cons, per_turn);
        for (; n > 0; --n, moved = true)
            in_ += page_.req[MASK_XENSTORE_IDX(page_.req_cons++)];
        while (take_request()) {
        }
        n = std::min({out_.size(), per_turn, std::size_t{XENSTORE_RING_SIZE} - (page_.rsp_prod - page_.rsp_cons)});
        for (std::size_t i = 0; i < n; ++i, moved = true)
            page_.rsp[MASK_XENSTORE_IDX(page_.rsp_prod++)] = out_[i];
        out_.erase(0, n);
        return moved;
    }

private:
    static bool below(std::string_view path, std::string_view folder) {
        return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
    }
    static void put(nodes& n, const std::string& path, std::string_view value) {
        for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
            n.try_emplace(path.substr(0, at));
        n[path] = value;
    }
    static bool drop(nodes& n, const std::string& path) {
        return std::erase_if(n, [&](const auto& node) { return below(node.first, path); }) > 0;
    }
    void changed(const std::string& path, bool removed = false) {
        ++changes_;
        for (const watch& w : watches_) {
            if (below(path, w.whole))
                fire(w, path);
            else if (removed && below(w.whole, path)) // what is watched went with its folder
                fire(w, w.whole);
        }
    }
    void fire(const watch& w, const std::string& path) {
        const bool relative = !w.path.starts_with('/');
        std::string text = relative && path.size() > home_.size() ? path.substr(home_.size() + 1) : path;
        text += '\0';
        text += w.token;
        text += '\0';
        reply(XS_WATCH_EVENT, 0, text);
    }

    bool take_request() {
        xsd_sockmsg h;
        if (in_.size() < sizeof h)
            return false;
        std::memcpy(&h, in_.data(), sizeof h);
        if (in_.size() < sizeof h + h.len)
            return false;
        const std::string payload = in_.substr(sizeof h, h.len);
        in_.erase(0, sizeof h + h.len);
        ++requests;
        if (answers)
            serve_request(h, payload);
        return true;
    }

    void serve_request(const xsd_sockmsg& h, const std::string& payload) {
        const auto answer = [&](std::string_view text) { reply(h.type, h.req_id, text); };
        const auto fail = [&](std::string_view name) {
            reply(XS_ERROR, h.req_id, std::string{name} + '\0');
        };
        const std::string ok{"OK\0", 3};
        const std::size_t nul = payload.find('\0');
        if (h.len > XENSTORE_PAYLOAD_MAX || (nul == std::string::npos && h.type != XS_WRITE))
            return fail("EINVAL");
        const std::string path = payload.substr(0, nul), at = whole(path);
        const std::string rest = nul == std::string::npos ? "" : payload.substr(nul + 1);
        transaction* const t = transactions_.contains(h.tx_id) ? &transactions_[h.tx_id] : nullptr;
        if (h.tx_id != 0 && t == nullptr)
            return fail("ENOENT");
        nodes& n = t != nullptr ? t->copy : nodes_;
        if (const auto e = errors.find(at); e != errors.end() && h.type != XS_TRANSACTION_END)
            return fail(e->second);
        const bool ours = below(at, home_);

        const auto note = [&](const std::string& where) {
            if (t != nullptr)
                t->changed.push_back(where);
            else
                changed(where);
        };
        switch (h.type) {
        case XS_READ:
            log.push_back("READ " + path);
            return n.contains(at) ? answer(n[at]) : fail("ENOENT");
        case XS_DIRECTORY: {
            log.push_back("DIRECTORY " + path);
            if (!n.contains(at))
                return fail("ENOENT");
            std::string names;
            for (const auto& [node, value] : n)
                if (node.size() > at.size() + 1 && below(node, at) && node.find('/', at.size() + 1) == std::string::npos)
                    names += node.substr(at.size() + 1) + '\0';
            return answer(names);
        }
        case XS_WRITE:
            log.push_back("WRITE " + path + '=' + rest);
            if (!ours)
                return fail("EACCES");
            put(n, at, rest);
            note(at);
            return answer(ok);
        case XS_MKDIR:
            log.push_back("MKDIR " + path);
            if (!ours)
                return fail("EACCES");
            if (!n.contains(at)) {
                put(n, at, "");
                note(at);
            }
            return answer(ok);
        case XS_RM:
            log.push_back("RM " + path);
            if (!ours)
                return fail("EACCES");
            if (!drop(n, at))
                return fail("ENOENT");
            if (t != nullptr)
                t->changed.push_back(at);
            else
                changed(at, true);
            return answer(ok);
        case XS_WATCH: {
            log.push_back("WATCH " + path);
            const std::string token = rest.substr(0, rest.find('\0'));
            for (const watch& w : watches_)
                if (w.path == path && w.token == token)
                    return fail("EEXIST");
            if (watches_.size() >= most_watches)
                return fail("E2BIG");
            watches_.push_back({path, at, token});
            answer(ok);
            return fire(watches_.back(), at);
        }
        case XS_UNWATCH: {
            log.push_back("UNWATCH " + path);
            const std::string token = rest.substr(0, rest.find('\0'));
            const auto gone = std::erase_if(watches_, [&](const watch& w) { return w.path == path && w.token == token; });
            return gone == 1 ? answer(ok) : fail("ENOENT");
        }
        case XS_TRANSACTION_START: {
            log.push_back("START");
            if (transactions_.size() >= most_transactions)
                return fail("ENOSPC");
            transactions_[++last_transaction_] = {nodes_, changes_};
            return answer(std::to_string(last_transaction_) + '\0');
        }
        case XS_TRANSACTION_END: {
            log.push_back("END " + path);
            if (t == nullptr)
                return fail("ENOENT");
            const transaction done = std::move(*t);
            transactions_.erase(h.tx_id);
            if (path != "T")
                return answer(ok);
            if (done.began_at != changes_ || conflicts > 0) {
                conflicts -= conflicts > 0 ? 1 : 0;
                return fail("EAGAIN");
            }
            nodes_ = done.copy;
            for (const std::string& where : done.changed)
                changed(where);
            return answer(ok);
        }
        default: return fail("ENOSYS");
        }
    }
};

} // namespace mirage::xen::test
