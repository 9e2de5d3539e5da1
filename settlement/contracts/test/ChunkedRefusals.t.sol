// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {IChunkedSettlement} from "../src/IChunkedSettlement.sol";
import {IEnergyCredit} from "../src/IEnergyCredit.sol";
import {Positions} from "../src/Positions.sol";
import {FourPositions} from "./base/FourPositions.sol";
import {vm} from "./base/Vm.sol";

/// @dev What a batch in chunks is refused for, by whom it is brought on, and the emergency stop.
contract ChunkedRefusalsTest is FourPositions {
    // ---- refused when opened

    function test_openChecksWhatSettleChecks() public {
        bytes32[] memory list = hashes();
        vm.expectRevert(abi.encodeWithSelector(IEnergyCredit.InvalidSlotRange.selector, SLOT_TO, SLOT_TO));
        vm.prank(SETTLER);
        credit.openBatch(BATCH, SLOT_TO, SLOT_TO, ROOT, list);
        vm.expectRevert(IEnergyCredit.MissingStatementRoot.selector);
        vm.prank(SETTLER);
        credit.openBatch(BATCH, SLOT_FROM, SLOT_TO, 0, list);
    }

    function test_numberOfChunksIsBounded() public {
        uint256[2] memory counts = [uint256(0), credit.MAX_CHUNKS() + 1];
        for (uint256 i = 0; i < counts.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IChunkedSettlement.InvalidChunkCount.selector, counts[i]));
            vm.prank(SETTLER);
            credit.openBatch(BATCH, SLOT_FROM, SLOT_TO, ROOT, new bytes32[](counts[i]));
        }
    }

    // ---- refused when pushed

    function expectPushRefused(bytes memory reason, bytes32[] memory positions, uint256 size) private {
        cut(positions, size);
        open(BATCH);
        uint256 last = chunks.length - 1;
        for (uint256 i = 0; i < last; ++i) {
            push(BATCH, i);
        }
        vm.expectRevert(reason);
        push(BATCH, last);
        abandon(BATCH);
        for (uint256 i = 0; i < last; ++i) {
            release(BATCH, i);
        }
        assertBalances(100, 100, 100, 100);
        assertPhase(IChunkedSettlement.BatchPhase.None);
    }

    function test_accountsAscendWithinAChunk() public {
        bytes32[] memory positions = four(30, -20, 40, -50);
        (positions[0], positions[1]) = (positions[1], positions[0]);
        expectPushRefused(abi.encodeWithSelector(Positions.PositionsNotAscending.selector, 1), positions, 4);
    }

    function test_accountsAscendAcrossChunks() public {
        bytes32[] memory positions = four(30, -20, 40, -50);
        // The same account in both chunks, then a lower one.
        positions[2] = position(BOB, 40);
        expectPushRefused(abi.encodeWithSelector(Positions.PositionsNotAscending.selector, 0), positions, 2);
        positions[2] = position(ALICE, 40);
        expectPushRefused(abi.encodeWithSelector(Positions.PositionsNotAscending.selector, 0), positions, 2);
    }

    function test_emptyChunkKeepsTheOrder() public {
        chunks[1] = new bytes32[](0);
        chunks.push(chunks[0]);
        open(BATCH);
        push(BATCH, 0);
        push(BATCH, 1);
        vm.expectRevert(abi.encodeWithSelector(Positions.PositionsNotAscending.selector, 0));
        push(BATCH, 2);
    }

    function test_zeroAddressIsRefused() public {
        bytes32[] memory positions = four(30, -20, 40, -50);
        positions[0] = position(address(0), 30);
        expectPushRefused(abi.encodeWithSelector(Positions.PositionsNotAscending.selector, 0), positions, 4);
    }

    function test_contractItselfIsRefusedOnEitherSide() public {
        bytes memory reason = abi.encodeWithSelector(IEnergyCredit.InvalidAccount.selector, address(credit));
        expectPushRefused(reason, pair(ALICE, address(credit), 5), 2);
        expectPushRefused(reason, pair(address(credit), ALICE, 5), 2);
        expectPushRefused(reason, pair(address(credit), ALICE, 0), 2);
    }

    function test_debtorWithTooLittleIsRefused() public {
        expectPushRefused(
            abi.encodeWithSelector(IEnergyCredit.InsufficientCredit.selector, DORA, 100, 101),
            four(30, -20, 91, -101),
            2
        );
    }

    function test_chunkOfTooManyPositionsIsRefused() public {
        uint256 count = credit.MAX_CHUNK_POSITIONS() + 1;
        bytes32[] memory positions = new bytes32[](count);
        for (uint160 i = 0; i < count; ++i) {
            positions[i] = position(address(i + 1), 0);
        }
        expectPushRefused(
            abi.encodeWithSelector(IChunkedSettlement.ChunkTooLarge.selector, count), positions, count
        );
    }

    function test_anotherChunkThanAnnouncedIsRefused() public {
        open(BATCH);
        bytes32 announced = hashes()[0];
        chunks[0][0] = position(ALICE, 29);
        vm.expectRevert(abi.encodeWithSelector(IChunkedSettlement.WrongChunk.selector, 0, announced));
        push(BATCH, 0);
    }

    function test_chunksArePushedInOrderAndOnce() public {
        open(BATCH);
        expectUnexpected(1, 0);
        push(BATCH, 1);
        push(BATCH, 0);
        expectUnexpected(0, 1);
        push(BATCH, 0);
        push(BATCH, 1);
        expectUnexpected(1, 2);
        push(BATCH, 1);
        assertBalances(100, 80, 100, 50);
    }

    function test_hashesOfAnEarlierBatchDoNotCount() public {
        cut(four(30, -20, 40, -50), 1);
        open(BATCH);
        abandon(BATCH);
        chunks.pop();
        open(OTHER);
        pushAll(OTHER);
        chunks.push(new bytes32[](1));
        chunks[3][0] = position(DORA, -50);
        expectUnexpected(3, 3);
        push(OTHER, 3);
    }

    function expectUnexpected(uint256 index, uint256 expected) private {
        vm.expectRevert(abi.encodeWithSelector(IChunkedSettlement.UnexpectedChunk.selector, index, expected));
    }

    // ---- refused when finalised

    function test_incompleteBatchIsNotFinalised() public {
        open(BATCH);
        push(BATCH, 0);
        vm.expectRevert(abi.encodeWithSelector(IChunkedSettlement.BatchIncomplete.selector, 1, 2));
        finalise(BATCH);
    }

    function test_unbalancedBatchIsNotFinalised() public {
        int96[2] memory dora = [int96(-49), -51];
        for (uint256 i = 0; i < dora.length; ++i) {
            cut(four(30, -20, 40, dora[i]), 2);
            open(BATCH);
            pushAll(BATCH);
            vm.expectRevert(
                abi.encodeWithSelector(Positions.PositionsNotBalanced.selector, 50 + int256(dora[i]))
            );
            finalise(BATCH);
            abandon(BATCH);
            releaseAll(BATCH);
            assertBalances(100, 100, 100, 100);
        }
    }

    // ---- refused when released

    function test_nothingIsReleasedBeforeTheDecision() public {
        open(BATCH);
        push(BATCH, 0);
        expectWrongPhase(IChunkedSettlement.BatchPhase.Collecting);
        release(BATCH, 0);
    }

    function test_chunksAreReleasedInOrderAndOnce() public {
        open(BATCH);
        pushAll(BATCH);
        finalise(BATCH);
        expectUnexpected(1, 0);
        release(BATCH, 1);
        release(BATCH, 0);
        expectUnexpected(0, 1);
        release(BATCH, 0);
        assertBalances(130, 80, 100, 50);
    }

    function test_otherPositionsAreNotReleased() public {
        open(BATCH);
        pushAll(BATCH);
        finalise(BATCH);
        bytes32 announced = hashes()[0];
        bytes32[] memory mine = new bytes32[](1);
        mine[0] = position(ALICE, 70);
        vm.expectRevert(abi.encodeWithSelector(IChunkedSettlement.WrongChunk.selector, 0, announced));
        credit.releaseChunk(BATCH, 0, mine);
    }

    function test_anotherIdIsRefused() public {
        open(BATCH);
        bytes memory reason =
            abi.encodeWithSelector(IChunkedSettlement.NotTheBatchInProgress.selector, OTHER, BATCH);
        vm.expectRevert(reason);
        push(OTHER, 0);
        pushAll(BATCH);
        vm.expectRevert(reason);
        finalise(OTHER);
        vm.expectRevert(reason);
        abandon(OTHER);
        finalise(BATCH);
        vm.expectRevert(reason);
        release(OTHER, 0);
    }

    // ---- who, and when paused

    function test_onlyTheSettlerBringsABatchOn() public {
        address[4] memory others = [ALICE, PAUSER, ADMIN, address(this)];
        for (uint256 i = 0; i < others.length; ++i) {
            expectUnauthorized(others[i]);
            credit.openBatch(BATCH, SLOT_FROM, SLOT_TO, ROOT, new bytes32[](1));
            expectUnauthorized(others[i]);
            credit.pushChunk(BATCH, 0, new bytes32[](0));
            expectUnauthorized(others[i]);
            credit.finaliseBatch(BATCH);
            expectUnauthorized(others[i]);
            credit.abandonBatch(BATCH);
        }
    }

    function expectUnauthorized(address caller) private {
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, caller));
        vm.prank(caller);
    }

    function expectPaused() private {
        vm.expectRevert(Pausable.EnforcedPause.selector);
    }

    function pause() private {
        vm.prank(PAUSER);
        credit.pause();
    }

    function unpause() private {
        vm.prank(ADMIN);
        credit.unpause();
    }

    function test_pauseStopsABatchWhereverItIs() public {
        pause();
        expectPaused();
        open(BATCH);
        unpause();
        open(BATCH);
        push(BATCH, 0);
        pause();
        expectPaused();
        push(BATCH, 1);
        unpause();
        push(BATCH, 1);
        pause();
        expectPaused();
        finalise(BATCH);
        unpause();
        finalise(BATCH);
        pause();
        expectPaused();
        release(BATCH, 0);
        unpause();
        releaseAll(BATCH);
        assertBalances(130, 80, 140, 50);
    }

    function test_batchIsGivenUpWhilePausedAndReturnedAfterwards() public {
        open(BATCH);
        pushAll(BATCH);
        pause();
        abandon(BATCH);
        expectPaused();
        release(BATCH, 0);
        unpause();
        releaseAll(BATCH);
        assertBalances(100, 100, 100, 100);
    }

    /// @dev The key is stolen and its batch is open: without it the credits come back.
    function test_batchOfARevokedSettlerIsReturned() public {
        open(BATCH);
        pushAll(BATCH);
        vm.prank(ADMIN);
        manager.revokeRole(SETTLER_ROLE, SETTLER);
        expectUnauthorized(SETTLER);
        credit.finaliseBatch(BATCH);
        vm.warp(block.timestamp + credit.BATCH_LIFETIME());
        credit.expireBatch(BATCH);
        releaseAll(BATCH);
        assertBalances(100, 100, 100, 100);
    }
}
