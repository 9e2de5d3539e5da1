// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The errors and events of `EnergyCredit`
/// @notice Amounts are in the base unit of the currency token, times in Unix seconds.
interface IEnergyCredit {
    /// @notice A member asked to withdraw.
    /// @param account The member.
    /// @param amount The amount asked for.
    /// @param claimableAt From this time on it can be claimed.
    event WithdrawalRequested(address indexed account, uint256 amount, uint64 claimableAt);

    /// @notice A member took its request back; its credits are free again.
    /// @param account The member.
    /// @param amount The amount that had been asked for.
    event WithdrawalCancelled(address indexed account, uint256 amount);

    /// @notice A request was paid and is closed.
    /// @param account The member.
    /// @param requested The amount asked for.
    /// @param paid The amount paid: less than asked for if settlement took credits meanwhile.
    event WithdrawalPaid(address indexed account, uint256 requested, uint256 paid);

    /// @notice A batch was settled.
    /// @param batchId The batch's id, chosen by the settler.
    /// @param slotFrom Start of the first slot.
    /// @param slotTo End of the last slot; the range is half-open.
    /// @param statementRoot Merkle root over the members' salted statements.
    /// @param positionCount Number of positions in the batch.
    event BatchSettled(
        bytes32 indexed batchId, uint64 slotFrom, uint64 slotTo, bytes32 statementRoot, uint256 positionCount
    );

    /// @notice The batch id was settled before. Its effects are on the chain: do not send it again.
    error BatchAlreadySettled(bytes32 batchId);

    /// @notice The range of slots is empty or reversed; `slotTo` is the end, which belongs to the next slot.
    error InvalidSlotRange(uint64 slotFrom, uint64 slotTo);

    /// @notice The statement root is zero, which stands for "not settled".
    error MissingStatementRoot();

    /// @notice A debtor holds less than it owes. Cap its position off the chain and settle again.
    error InsufficientCredit(address account, uint256 has, uint256 needs);

    /// @notice Credits move by settlement alone: `transfer`, `transferFrom` and `approve` are refused.
    error CreditsNotTransferable(address holder);

    /// @notice The account cannot hold credits (it is the credit contract itself).
    error InvalidAccount(address account);

    /// @notice The amount is zero.
    error ZeroAmount();

    /// @notice The currency token moved another amount than was asked for, as one with a fee on transfers does.
    error CurrencyNotExact(uint256 expected, uint256 received);

    /// @notice The currency token refused the payer's permit, for the given reason, and no allowance covers the amount.
    error PermitRefused(address payer, bytes reason);

    /// @notice The withdrawal delay is zero or longer than a year. It is counted in seconds.
    error InvalidWithdrawalDelay(uint64 delaySeconds);

    /// @notice The account has a request already: claim or cancel it first.
    error WithdrawalAlreadyRequested(address account);

    /// @notice The account has no request.
    error NoWithdrawalRequested(address account);

    /// @notice The request cannot be claimed before `claimableAt`.
    error WithdrawalNotDue(address account, uint64 claimableAt);
}
