// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IChunkedSettlement} from "../src/IChunkedSettlement.sol";
import {Positions} from "../src/Positions.sol";
import {ChunkedTest} from "./base/ChunkedTest.sol";
import {vm, Vm} from "./base/Vm.sol";

/// @dev Random batches in random chunks, brought to their end or given up anywhere, against a plain model.
contract ChunkedFuzzTest is ChunkedTest {
    uint256 private constant FUNDS = 1e30;
    uint256 private constant MAX_ACCOUNTS = 16;

    bytes32[] private positions;

    /// @dev Accounts ascend with random gaps; the last takes what is missing to zero.
    function prepare(uint256 seed, uint256 count, uint256 chunkSize) private {
        uint160 account = 0x1000;
        int96 sum = 0;
        for (uint256 i = 0; i < count; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            account += uint160(random % type(uint128).max) + 1;
            int96 amount = int96(uint96(random >> 176));
            amount = i + 1 == count ? -sum : (random % 3 == 0 ? amount % 4 : amount % 1e24);
            sum += amount;
            positions.push(position(address(account), amount));
            fund(address(account), FUNDS);
        }
        cut(positions, chunkSize);
    }

    function assertEach(bool settled) private view {
        for (uint256 i = 0; i < positions.length; ++i) {
            int256 amount = settled ? Positions.amount(positions[i]) : int256(0);
            assertCredit(
                Positions.account(positions[i]), uint256(int256(FUNDS) + amount), "funds plus position"
            );
        }
        vm.assertTrue(credit.isSettled(BATCH) == settled, "settled");
        assertHeld(0);
    }

    function testFuzz_eachAccountGetsItsPosition(uint256 seed, uint8 size, uint8 chunkSize) public {
        prepare(seed, 1 + size % MAX_ACCOUNTS, 1 + chunkSize % MAX_ACCOUNTS);
        vm.recordLogs();
        open(BATCH);
        pushAll(BATCH);
        finalise(BATCH);
        releaseAll(BATCH);
        assertEach(true);
        assertEvents(vm.getRecordedLogs());
    }

    /// @dev The Transfer events alone rebuild every position.
    function assertEvents(Vm.Log[] memory logs) private view {
        for (uint256 i = 0; i < positions.length; ++i) {
            bytes32 account = bytes32(uint256(uint160(Positions.account(positions[i]))));
            int256 moved = 0;
            for (uint256 j = 0; j < logs.length; ++j) {
                if (logs[j].topics[0] != IERC20.Transfer.selector) continue;
                int256 amount = abi.decode(logs[j].data, (int256));
                if (logs[j].topics[1] == account) moved -= amount;
                if (logs[j].topics[2] == account) moved += amount;
            }
            vm.assertTrue(moved == Positions.amount(positions[i]), "events rebuild the position");
        }
    }

    function testFuzz_abandonedAnywhereLeavesNobodyChanged(
        uint256 seed,
        uint8 size,
        uint8 chunkSize,
        uint8 pushed,
        bool expired
    ) public {
        prepare(seed, 1 + size % MAX_ACCOUNTS, 1 + chunkSize % MAX_ACCOUNTS);
        uint256 count = pushed % (chunks.length + 1);
        open(BATCH);
        for (uint256 i = 0; i < count; ++i) {
            push(BATCH, i);
        }
        if (expired) {
            vm.warp(block.timestamp + credit.BATCH_LIFETIME());
            credit.expireBatch(BATCH);
        } else {
            abandon(BATCH);
        }
        for (uint256 i = 0; i < count; ++i) {
            release(BATCH, i);
        }
        assertEach(false);
        assertPhase(IChunkedSettlement.BatchPhase.None);
    }

    function testFuzz_oneCallAndChunksSettleTheSame(uint256 seed, uint8 size, uint8 chunkSize) public {
        prepare(seed, 1 + size % MAX_ACCOUNTS, 1 + chunkSize % MAX_ACCOUNTS);
        settle(keccak256("in one call"), positions);
        uint256[] memory once = new uint256[](positions.length);
        for (uint256 i = 0; i < once.length; ++i) {
            once[i] = credit.balanceOf(Positions.account(positions[i]));
        }
        open(BATCH);
        pushAll(BATCH);
        finalise(BATCH);
        releaseAll(BATCH);
        for (uint256 i = 0; i < once.length; ++i) {
            assertCredit(Positions.account(positions[i]), 2 * once[i] - FUNDS, "the same again");
        }
    }

    function testFuzz_changedChunkIsRefused(uint256 seed, uint8 size, uint8 bit) public {
        prepare(seed, 1 + size % MAX_ACCOUNTS, MAX_ACCOUNTS);
        open(BATCH);
        bytes32 announced = hashes()[0];
        chunks[0][seed % positions.length] ^= bytes32(uint256(1) << bit);
        bytes memory reason = abi.encodeWithSelector(IChunkedSettlement.WrongChunk.selector, 0, announced);
        vm.expectRevert(reason);
        push(BATCH, 0);
        cut(positions, MAX_ACCOUNTS);
        push(BATCH, 0);
        finalise(BATCH);
        chunks[0][seed % positions.length] ^= bytes32(uint256(1) << bit);
        vm.expectRevert(reason);
        release(BATCH, 0);
    }

    function testFuzz_unbalancedIsNotFinalised(uint256 seed, uint8 size, uint8 chunkSize, int96 mistake)
        public
    {
        prepare(seed, 1 + size % MAX_ACCOUNTS, MAX_ACCOUNTS);
        // Zero would balance; the bound keeps the sum of the two within an int96.
        int96 off = mistake % 1e24;
        vm.assume(off != 0);
        uint256 index = seed % positions.length;
        int96 amount = int96(Positions.amount(positions[index]));
        positions[index] = position(Positions.account(positions[index]), amount + off);
        cut(positions, 1 + chunkSize % MAX_ACCOUNTS);
        open(BATCH);
        pushAll(BATCH);
        vm.expectRevert(abi.encodeWithSelector(Positions.PositionsNotBalanced.selector, int256(off)));
        finalise(BATCH);
    }
}
