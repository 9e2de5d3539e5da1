// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DemoEuro} from "../../src/DemoEuro.sol";
import {EnergyCredit} from "../../src/EnergyCredit.sol";
import {IChunkedSettlement} from "../../src/IChunkedSettlement.sol";
import {CreditHandler} from "./CreditHandler.sol";
import {vm} from "./Vm.sol";

/// @notice Adds batches in chunks: opened, pushed, decided, released a step at a time, with anything else in between.
/// Some are unbalanced, which only the decision can find out.
contract ChunkedHandler is CreditHandler {
    bytes32[][] private chunks;
    uint256 private pushed;
    uint256 private released;
    IChunkedSettlement.BatchPhase private phase;
    bool private balanced;
    uint64 private expiresAt;
    /// @dev What each member is to hold if the batch is given up.
    mapping(address member => uint256) private otherwise;

    /// @notice What the contract should hold for the batch under way.
    uint256 public held;
    uint256 public finalisedCount;
    uint256 public returnedCount;

    constructor(EnergyCredit credit, DemoEuro euro, address settler) CreditHandler(credit, euro, settler) {}

    function inProgress() public view override returns (bool) {
        return phase != IChunkedSettlement.BatchPhase.None;
    }

    function deposit(uint256 who, uint80 amount) public override {
        super.deposit(who, amount);
        otherwise[member(who)] += amount;
    }

    function openBatch(uint256 seed) external {
        if (inProgress()) return;
        bytes32[] memory positions = ring(seed);
        // One in four says one unit more is due than is owed.
        balanced = seed % 4 != 0;
        if (!balanced) positions[0] = bytes32(uint256(positions[0]) + 1);
        // Adding to an amount of -1 would carry into the account.
        if (!balanced && amountOf(positions[0]) == 0) return;
        split(positions, 1 + seed % 3);
        bytes32[] memory hashes = new bytes32[](chunks.length);
        for (uint256 i = 0; i < hashes.length; ++i) {
            hashes[i] = keccak256(abi.encodePacked(chunks[i]));
        }
        bytes32 id = batchId(settledCount);
        vm.prank(SETTLER);
        CREDIT.openBatch(id, 1, 2, id, hashes);
        (phase, expiresAt) =
        (IChunkedSettlement.BatchPhase.Collecting, uint64(block.timestamp) + CREDIT.BATCH_LIFETIME());
        (pushed, released) = (0, 0);
        for (uint256 i = 0; i < MEMBER_COUNT; ++i) {
            otherwise[member(i)] = expected[member(i)];
        }
    }

    function split(bytes32[] memory positions, uint256 size) private {
        delete chunks;
        for (uint256 i = 0; i < positions.length; ++i) {
            if (i % size == 0) chunks.push();
            chunks[chunks.length - 1].push(positions[i]);
        }
    }

    /// @notice The next one to three steps of the batch. None may fail: nobody can have taken away what a chunk needs.
    function advance(uint256 steps) external {
        for (uint256 i = 0; i < 1 + steps % 3; ++i) {
            step();
        }
    }

    function step() private {
        if (phase == IChunkedSettlement.BatchPhase.Collecting) {
            if (pushed < chunks.length) push();
            else finalise();
        } else if (inProgress()) {
            release();
        }
    }

    function push() private {
        bytes32[] memory chunk = chunks[pushed];
        vm.prank(SETTLER);
        CREDIT.pushChunk(batchId(settledCount), pushed, chunk);
        pushed += 1;
        for (uint256 i = 0; i < chunk.length; ++i) {
            int256 amount = amountOf(chunk[i]);
            if (amount >= 0) continue;
            expected[address(bytes20(chunk[i]))] -= uint256(-amount);
            held += uint256(-amount);
        }
    }

    function finalise() private {
        vm.prank(SETTLER);
        try CREDIT.finaliseBatch(batchId(settledCount)) {
            if (!balanced) ruleBroken = true;
            phase = IChunkedSettlement.BatchPhase.Paying;
            finalisedCount += 1;
        } catch {
            if (balanced) ruleBroken = true;
            giveUp(false);
        }
    }

    function abandon() external {
        if (phase == IChunkedSettlement.BatchPhase.Collecting) giveUp(false);
    }

    /// @notice Anyone, at any time: only a batch that is over time and not decided ends by it.
    function expire() external {
        bool over = phase == IChunkedSettlement.BatchPhase.Collecting && block.timestamp >= expiresAt;
        if (over) return giveUp(true);
        try CREDIT.expireBatch(batchId(settledCount)) {
            ruleBroken = true;
        } catch {}
    }

    function giveUp(bool expired) private {
        if (expired) {
            CREDIT.expireBatch(batchId(settledCount));
        } else {
            vm.prank(SETTLER);
            CREDIT.abandonBatch(batchId(settledCount));
        }
        phase = IChunkedSettlement.BatchPhase.Returning;
        if (pushed == 0) end();
    }

    /// @dev By this contract, which has no role.
    function release() private {
        bytes32[] memory chunk = chunks[released];
        CREDIT.releaseChunk(batchId(settledCount), released, chunk);
        released += 1;
        for (uint256 i = 0; i < chunk.length; ++i) {
            int256 amount = amountOf(chunk[i]);
            if (phase == IChunkedSettlement.BatchPhase.Returning) amount = -amount;
            if (amount <= 0) continue;
            expected[address(bytes20(chunk[i]))] += uint256(amount);
            held -= uint256(amount);
        }
        if (released == pushed) end();
    }

    function end() private {
        if (phase == IChunkedSettlement.BatchPhase.Paying) {
            settledCount += 1;
        } else {
            returnedCount += 1;
            for (uint256 i = 0; i < MEMBER_COUNT; ++i) {
                if (CREDIT.balanceOf(member(i)) != otherwise[member(i)]) ruleBroken = true;
            }
        }
        phase = IChunkedSettlement.BatchPhase.None;
    }
}
