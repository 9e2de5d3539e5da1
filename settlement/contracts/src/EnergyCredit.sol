// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ChunkedSettlement} from "./ChunkedSettlement.sol";

/// @title Credits of an energy community, in which its market is settled
/// @notice An ERC-20 that wraps a currency token one to one. Members deposit the currency and hold credits; a slot's
/// settlement moves credits from those who owe to those who are due; a withdrawal gives the currency back.
///
/// Requirements
/// 1. The total supply equals the currency that was deposited and not yet paid out.
/// 2. Credits are made by `depositFor` and `depositWithPermit`, destroyed by `claimWithdrawal` and moved by settlement.
///    Members cannot transfer them, not even an amount of zero, and allowances do not exist, by signature neither.
/// 3. A batch is settled whole or not at all, and once: `Settlement` in one call, `ChunkedSettlement` in several.
/// 4. Nobody walks away from an open position: a withdrawal is paid after `withdrawalDelay`, which must exceed the
///    longest time from a trade to its settlement, and until then settlement may still take the credits. While a batch is
///    in progress in chunks, none is paid.
/// 5. The functions marked `restricted` are for the roles that the AccessManager `authority()` names: settler for
///    `settle`, `openBatch`, `pushChunk`, `finaliseBatch` and `abandonBatch`, pauser for `pause`, administrator for
///    `unpause`.
/// 6. Paused, no credit and no currency moves. Withdrawals can still be requested, so their delay goes on.
///
/// Amounts are in the base unit of the currency token (whose decimals the credits share), times in Unix seconds.
contract EnergyCredit is ChunkedSettlement {
    using SafeERC20 for IERC20Metadata;

    struct WithdrawalRequest {
        uint192 amount;
        uint64 claimableAt;
    }

    /// @notice The longest withdrawal delay that can be configured, in seconds.
    uint64 public constant MAX_WITHDRAWAL_DELAY = 365 days;

    /// @notice The token that credits are backed by.
    IERC20Metadata public immutable CURRENCY;

    /// @notice Seconds from the request of a withdrawal to the time from which it can be claimed.
    uint64 public immutable WITHDRAWAL_DELAY;

    uint8 private immutable _DECIMALS;

    mapping(address account => WithdrawalRequest) private _withdrawals;

    /// @param currency The token to wrap. It must move exactly what it is told to: no fee, no rebasing.
    /// @param authority The AccessManager that holds the roles.
    /// @param withdrawalDelay In seconds, 1 to `MAX_WITHDRAWAL_DELAY`; longer than the settlement horizon.
    /// @param name_ The credits' name.
    /// @param symbol_ The credits' symbol.
    constructor(
        IERC20Metadata currency,
        address authority,
        uint64 withdrawalDelay,
        string memory name_,
        string memory symbol_
    ) ERC20(name_, symbol_) AccessManaged(authority) {
        if (withdrawalDelay == 0 || withdrawalDelay > MAX_WITHDRAWAL_DELAY) {
            revert InvalidWithdrawalDelay(withdrawalDelay);
        }
        CURRENCY = currency;
        WITHDRAWAL_DELAY = withdrawalDelay;
        _DECIMALS = currency.decimals();
    }

    /// @notice The currency token's decimals.
    function decimals() public view override returns (uint8) {
        return _DECIMALS;
    }

    // ---- deposit and withdrawal

    /// @notice Takes `amount` of the currency from the caller, who must have approved it, and gives `account` as many
    /// credits. Anyone may deposit for anyone.
    /// @return Always true.
    function depositFor(address account, uint256 amount) external returns (bool) {
        return _deposit(account, amount);
    }

    /// @notice As `depositFor`, in one transaction: the caller approves with a signature (EIP-2612) of the currency's
    /// permit for this contract and `amount`, instead of a transaction before.
    ///
    /// Whoever sees the signature may hand it to the currency first, which refuses it a second time. So a permit that is
    /// refused does no harm if the caller's allowance covers the amount, and only the caller's own currency is taken.
    /// @param account Who gets the credits.
    /// @param amount How much, in the currency's base unit.
    /// @param deadline Until then the signature holds.
    /// @param v Of the caller's signature.
    /// @param r Of the caller's signature.
    /// @param s Of the caller's signature.
    /// @return Always true.
    function depositWithPermit(
        address account,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (bool) {
        address payer = _msgSender();
        try IERC20Permit(address(CURRENCY)).permit(payer, address(this), amount, deadline, v, r, s) {}
        catch (bytes memory reason) {
            if (CURRENCY.allowance(payer, address(this)) < amount) revert PermitRefused(payer, reason);
        }
        return _deposit(account, amount);
    }

    /// @notice Asks for `amount` of the caller's credits to be paid out after the delay. One request at a time.
    ///
    /// The credits stay in the caller's balance, so that settlement may take them until they are paid; it takes the free
    /// ones first. The market must count only `freeCreditOf` as cover for new orders.
    function requestWithdrawal(uint256 amount) external {
        address account = _msgSender();
        if (amount == 0) revert ZeroAmount();
        if (_withdrawals[account].claimableAt != 0) revert WithdrawalAlreadyRequested(account);
        uint256 has = balanceOf(account);
        if (has < amount) revert InsufficientCredit(account, has, amount);
        uint64 claimableAt = SafeCast.toUint64(block.timestamp) + WITHDRAWAL_DELAY;
        _withdrawals[account] =
            WithdrawalRequest({amount: SafeCast.toUint192(amount), claimableAt: claimableAt});
        emit WithdrawalRequested(account, amount, claimableAt);
    }

    /// @notice Takes the caller's request back. A later request starts a new delay.
    function cancelWithdrawal() external {
        address account = _msgSender();
        uint256 amount = _openRequest(account).amount;
        delete _withdrawals[account];
        emit WithdrawalCancelled(account, amount);
    }

    /// @notice Pays the caller's request once it is due and closes it: the amount asked for, or all that settlement left
    /// of it. Not while a batch is in progress in chunks: its last chunk may still need the credits, or give some back.
    /// @return paid What was paid.
    function claimWithdrawal() external returns (uint256 paid) {
        _requireNoBatchInProgress();
        address account = _msgSender();
        WithdrawalRequest memory request = _openRequest(account);
        // The seconds by which a block's time can be off do not matter against the delay.
        // forge-lint: disable-next-line(block-timestamp)
        if (block.timestamp < request.claimableAt) revert WithdrawalNotDue(account, request.claimableAt);
        paid = Math.min(request.amount, balanceOf(account));
        delete _withdrawals[account];
        _burn(account, paid);
        emit WithdrawalPaid(account, request.amount, paid);
        CURRENCY.safeTransfer(account, paid);
    }

    /// @notice The open request of `account`; all zero if there is none.
    /// @return requested The amount asked for.
    /// @return covered The part of it that the account's balance covers now.
    /// @return claimableAt From this time on it can be claimed.
    function withdrawalOf(address account)
        external
        view
        returns (uint256 requested, uint256 covered, uint64 claimableAt)
    {
        WithdrawalRequest memory request = _withdrawals[account];
        return (request.amount, Math.min(request.amount, balanceOf(account)), request.claimableAt);
    }

    /// @notice The credits of `account` that no withdrawal is requested for.
    function freeCreditOf(address account) external view returns (uint256) {
        return Math.saturatingSub(balanceOf(account), _withdrawals[account].amount);
    }

    // ---- emergency stop

    /// @notice Stops deposits, settlement and payouts. Pauser only.
    function pause() external restricted {
        _pause();
    }

    /// @notice Ends the stop. Administrator only.
    function unpause() external restricted {
        _unpause();
    }

    // ---- inside

    /// @dev The caller's currency for the account's credits.
    function _deposit(address account, uint256 amount) private returns (bool) {
        if (amount == 0) revert ZeroAmount();
        if (account == address(this)) revert InvalidAccount(account);
        uint256 before = CURRENCY.balanceOf(address(this));
        CURRENCY.safeTransferFrom(_msgSender(), address(this), amount);
        uint256 received = CURRENCY.balanceOf(address(this)) - before;
        if (received != amount) revert CurrencyNotExact(amount, received);
        _mint(account, amount);
        return true;
    }

    /// @dev Every movement but settlement's comes through here: credits are made and destroyed, never transferred.
    function _update(address from, address to, uint256 amount) internal override whenNotPaused {
        if (from != address(0) && to != address(0)) revert CreditsNotTransferable(from);
        super._update(from, to, amount);
    }

    /// @dev An allowance could never be spent, so none is given.
    function _approve(address owner, address, uint256, bool) internal pure override {
        revert CreditsNotTransferable(owner);
    }

    /// @dev `transferFrom` ends here, also for an amount of zero.
    function _spendAllowance(address owner, address, uint256) internal pure override {
        revert CreditsNotTransferable(owner);
    }

    function _openRequest(address account) private view returns (WithdrawalRequest memory request) {
        request = _withdrawals[account];
        if (request.claimableAt == 0) revert NoWithdrawalRequested(account);
    }
}
