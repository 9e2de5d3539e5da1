// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SignedMath} from "@openzeppelin/contracts/utils/math/SignedMath.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {Balances} from "./Balances.sol";
import {IChunkedSettlement} from "./IChunkedSettlement.sol";
import {IEnergyCredit} from "./IEnergyCredit.sol";
import {Positions} from "./Positions.sol";

/// @title Settlement of a batch in one call, and its receipts
/// @notice A batch is a list of net positions that sum to zero, under an id that is taken once. Moves credits, makes and
/// destroys none.
///
/// Requirements
/// 1. A batch is settled whole or not at all, and once, whether in one call or in chunks.
/// 2. A settled batch keeps its statement root for ever.
/// 3. While a batch is in progress in chunks, no other one is settled.
abstract contract Settlement is Balances, AccessManaged, Pausable, IEnergyCredit, IChunkedSettlement {
    using Positions for bytes32;

    // Declared first: it shares its word of storage with the authority and the pause, which `settle` reads anyway.
    BatchPhase internal _phase;

    /// @dev The batch that is settled in chunks; means nothing in phase `None`.
    bytes32 internal _batchId;

    mapping(bytes32 batchId => bytes32 statementRoot) internal _statementRoots;

    /// @notice Settles a batch: moves credits from debtors to creditors, keeps the statement root, and marks the id as
    /// used. Settler only.
    ///
    /// Debtors and creditors are matched in the order of their addresses, each debtor paying creditors until it has paid
    /// all, so n positions make at most n - 1 `Transfer` events.
    /// @param batchId Chosen by the settler before its first try; a second try reverts with `BatchAlreadySettled`.
    /// @param slotFrom Start of the first slot of the batch, Unix seconds.
    /// @param slotTo End of the last slot, Unix seconds, above `slotFrom`.
    /// @param statementRoot Merkle root over the members' salted statements, not zero. See `verifyReceipt`.
    /// @param positions Packed as `Positions` says, accounts strictly ascending, amounts summing to zero.
    function settle(
        bytes32 batchId,
        uint64 slotFrom,
        uint64 slotTo,
        bytes32 statementRoot,
        bytes32[] calldata positions
    ) external restricted whenNotPaused {
        _requireNewBatch(batchId, slotFrom, slotTo, statementRoot);
        _statementRoots[batchId] = statementRoot;
        Positions.requireBalanced(positions);
        _moveCredits(positions);
        emit BatchSettled(batchId, slotFrom, slotTo, statementRoot, positions.length);
    }

    /// @notice The statement root of a settled batch; zero if it is not settled.
    function settledRoot(bytes32 batchId) external view returns (bytes32) {
        return _statementRoots[batchId];
    }

    /// @notice Whether the batch is settled: all its debtors have paid and all its creditors are paid.
    function isSettled(bytes32 batchId) external view returns (bool) {
        return _statementRoots[batchId] != 0;
    }

    /// @notice Whether `leaf` belongs to the statements of a settled batch. False if the batch is not settled.
    ///
    /// A node of the tree is the keccak256 of its two children in ascending order. A leaf is hashed twice,
    /// `keccak256(keccak256(statement))`, so that no inner node passes for one: whoever checks a receipt computes the
    /// leaf from the statement and does not take it as given.
    /// @param proof The siblings from the leaf up; empty if the batch has one statement.
    function verifyReceipt(bytes32 batchId, bytes32 leaf, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        bytes32 root = _statementRoots[batchId];
        return root != 0 && MerkleProof.verifyCalldata(proof, root, leaf);
    }

    // ---- inside

    /// @dev Nothing that a batch in progress counts on may change meanwhile.
    function _requireNoBatchInProgress() internal view {
        if (_phase != BatchPhase.None) revert BatchInProgress(_batchId);
    }

    function _requireNewBatch(bytes32 batchId, uint64 slotFrom, uint64 slotTo, bytes32 statementRoot)
        internal
        view
    {
        _requireNoBatchInProgress();
        if (_statementRoots[batchId] != 0) revert BatchAlreadySettled(batchId);
        if (slotFrom >= slotTo) revert InvalidSlotRange(slotFrom, slotTo);
        if (statementRoot == 0) revert MissingStatementRoot();
    }

    /// @dev The positions are balanced, so a creditor with room is left as long as a debtor owes. Each account is written
    /// once: a debtor when its turn comes, a creditor when it is found.
    function _moveCredits(bytes32[] calldata positions) private {
        uint256 next = 0; // the entry from which on to look for the next creditor
        address creditor = address(0);
        uint256 room = 0; // what the creditor was given and nobody has paid yet
        for (uint256 i = 0; i < positions.length; ++i) {
            bytes32 position = positions[i];
            int256 amount = position.amount();
            if (amount >= 0) continue;
            address debtor = position.account();
            uint256 owed = SignedMath.abs(amount);
            _takeFromDebtor(debtor, owed);
            while (owed > room) {
                if (room != 0) emit Transfer(debtor, creditor, room);
                // What is left to pay is above zero.
                unchecked {
                    owed -= room;
                }
                (creditor, room, next) = _payNextCreditor(positions, next);
            }
            emit Transfer(debtor, creditor, owed);
            unchecked {
                room -= owed;
            }
        }
    }

    /// @dev Takes what a debtor owes, or says who lacks how much.
    function _takeFromDebtor(address debtor, uint256 owed) internal {
        if (!_take(debtor, owed)) revert InsufficientCredit(debtor, balanceOf(debtor), owed);
    }

    /// @dev Gives the first creditor at or after `start` what it is due. Returns who that is, how much, and the index after it.
    function _payNextCreditor(bytes32[] calldata positions, uint256 start)
        private
        returns (address creditor, uint256 due, uint256 next)
    {
        bytes32 position = 0;
        for (next = start; position.amount() <= 0; ++next) {
            position = positions[next];
        }
        creditor = position.account();
        if (creditor == address(this)) revert InvalidAccount(creditor);
        due = SignedMath.abs(position.amount());
        _give(creditor, due);
    }
}
