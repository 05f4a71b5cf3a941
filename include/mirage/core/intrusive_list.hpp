// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <utility>

namespace mirage {

/// The two pointers that put an object on at most one list. Unlinks itself when it dies, so that a list never
/// holds a dead element. Neither copied nor moved: the list holds its address.
class list_hook {
    friend class list_base;

    list_hook* previous_ = nullptr;
    list_hook* next_ = nullptr;

public:
    constexpr list_hook() noexcept = default;
    list_hook(const list_hook&) = delete;
    list_hook& operator=(const list_hook&) = delete;
    constexpr ~list_hook() { unlink(); }

    constexpr bool linked() const noexcept { return next_ != nullptr; }

    /// Takes the object off whatever list it is on. O(1); nothing happens when it is on none.
    constexpr void unlink() noexcept {
        if (next_ == nullptr)
            return;
        previous_->next_ = next_;
        next_->previous_ = previous_;
        previous_ = next_ = nullptr;
    }
};

/// What a list is, whatever is on it.
class list_base {
protected:
    list_hook head_;

    static list_hook* successor(const list_hook& hook) noexcept { return hook.next_; }

    static constexpr void insert_before(list_hook& place, list_hook& hook) noexcept {
        hook.unlink();
        hook.previous_ = place.previous_;
        hook.next_ = &place;
        place.previous_->next_ = &hook;
        place.previous_ = &hook;
    }

    constexpr list_base() noexcept { head_.previous_ = head_.next_ = &head_; }
    list_base(const list_base&) = delete;
    list_base& operator=(const list_base&) = delete;
    [[gnu::noinline]] constexpr ~list_base() {
        clear();
        head_.previous_ = head_.next_ = nullptr;
    }

    list_hook* first() noexcept { return head_.next_; }
    list_hook* last() noexcept { return head_.previous_; }

    /// Appends all of `other`, which is empty afterwards.
    void take_all(list_base& other) noexcept {
        if (other.empty())
            return;
        list_hook *const begin = other.head_.next_, *const end = other.head_.previous_;
        other.head_.previous_ = other.head_.next_ = &other.head_;
        begin->previous_ = head_.previous_;
        head_.previous_->next_ = begin;
        end->next_ = &head_;
        head_.previous_ = end;
    }

public:
    constexpr bool empty() const noexcept { return head_.next_ == &head_; }

    /// Unlinks every element.
    constexpr void clear() noexcept {
        while (!empty())
            head_.next_->unlink();
    }
};

/// A doubly linked list of objects that derive from `Hook` (itself derived from list_hook; several hooks of
/// different types put one object on several lists). Owns nothing, allocates nothing, every operation is O(1).
template <class T, class Hook = list_hook>
class intrusive_list : list_base {
    static T& object(list_hook& hook) noexcept { return static_cast<T&>(static_cast<Hook&>(hook)); }

public:
    using list_base::clear;
    using list_base::empty;

    /// Puts `element` last; it leaves the list that it is on through the same hook.
    void push_back(T& element) noexcept { insert_before(head_, static_cast<Hook&>(element)); }
    void push_front(T& element) noexcept { insert_before(*first(), static_cast<Hook&>(element)); }

    T& front() noexcept { return object(*first()); }
    T& back() noexcept { return object(*last()); }

    /// Puts `element` behind `place`, which is on this list.
    void insert_after(T& place, T& element) noexcept {
        insert_before(*successor(static_cast<Hook&>(place)), static_cast<Hook&>(element));
    }

    /// Takes the first element off; nullptr when the list is empty.
    T* pop_front() noexcept {
        if (empty())
            return nullptr;
        T& element = front();
        static_cast<Hook&>(element).unlink();
        return &element;
    }

    /// Appends all of `other`, which is empty afterwards.
    void splice_back(intrusive_list& other) noexcept { take_all(other); }

    /// The element behind `element`, or nullptr at the end.
    T* next(T& element) noexcept {
        list_hook* const hook = successor(static_cast<Hook&>(element));
        return hook == &head_ ? nullptr : &object(*hook);
    }

    class iterator {
        list_hook* at_;

    public:
        explicit iterator(list_hook* at) noexcept : at_{at} {}
        T& operator*() const noexcept { return object(*at_); }
        T* operator->() const noexcept { return &object(*at_); }
        iterator& operator++() noexcept {
            at_ = successor(*at_);
            return *this;
        }
        friend bool operator==(iterator, iterator) noexcept = default;
    };
    iterator begin() noexcept { return iterator{first()}; }
    iterator end() noexcept { return iterator{&head_}; }
};

} // namespace mirage
