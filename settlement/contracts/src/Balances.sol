// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title Who holds how many credits
/// @notice ERC-20 balances that settlement can change once an account and batch, however many transfers that makes.
///
/// OpenZeppelin's ERC-20 keeps its balances to itself and writes both on every transfer. Settlement pairs debtors with
/// creditors, so that each is in two transfers on average: written once each, a position costs some 500 gas less. Supply,
/// names, events and errors stay OpenZeppelin's; its own balances stay empty.
///
/// Requirements
/// 1. The balances sum to the total supply. `_take` and `_give` break that: whoever calls them gives in the same call what
///    it takes, no more and no less, and logs a `Transfer` for each part.
/// 2. No balance goes below zero or wraps.
abstract contract Balances is ERC20 {
    mapping(address account => uint256) private _credits;

    uint256 private _supply;

    /// @notice The credits of `account`, in the currency's base unit.
    function balanceOf(address account) public view override returns (uint256) {
        return _credits[account];
    }

    /// @notice All credits there are, in the currency's base unit.
    function totalSupply() public view override returns (uint256) {
        return _supply;
    }

    /// @dev As OpenZeppelin's, on the balances here. `from` zero makes credits, `to` zero destroys them.
    function _update(address from, address to, uint256 amount) internal virtual override {
        if (from == address(0)) {
            _supply += amount; // Checked: nothing below can overflow if this does not.
        } else {
            if (!_take(from, amount)) revert ERC20InsufficientBalance(from, _credits[from], amount);
        }
        if (to == address(0)) {
            // What was taken was part of the supply.
            unchecked {
                _supply -= amount;
            }
        } else {
            _give(to, amount);
        }
        emit Transfer(from, to, amount);
    }

    /// @dev Takes credits that must be given, and logs nothing. False, and nothing taken, if the account holds less.
    function _take(address account, uint256 amount) internal returns (bool) {
        uint256 has = _credits[account];
        if (has < amount) return false;
        unchecked {
            _credits[account] = has - amount;
        }
        return true;
    }

    /// @dev Gives credits that were taken or made, and logs nothing.
    function _give(address account, uint256 amount) internal {
        // All balances together are at most the supply, which does not overflow.
        unchecked {
            _credits[account] += amount;
        }
    }
}
