// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChunkedSettlement} from "../../src/IChunkedSettlement.sol";
import {CreditTest} from "./CreditTest.sol";
import {vm} from "./Vm.sol";

/// @notice Helps to settle in chunks.
abstract contract ChunkedTest is CreditTest {
    // What follows from a list of chunks, as the contract is to find it.
    bytes32[][] internal chunks;

    /// @dev Cuts the positions into chunks of `size`.
    function cut(bytes32[] memory positions, uint256 size) internal {
        delete chunks;
        for (uint256 start = 0; start < positions.length; start += size) {
            uint256 length = positions.length - start < size ? positions.length - start : size;
            bytes32[] memory chunk = new bytes32[](length);
            for (uint256 i = 0; i < length; ++i) {
                chunk[i] = positions[start + i];
            }
            chunks.push(chunk);
        }
    }

    function hashes() internal view returns (bytes32[] memory list) {
        list = new bytes32[](chunks.length);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = keccak256(abi.encodePacked(chunks[i]));
        }
    }

    function open(bytes32 batchId) internal {
        bytes32[] memory list = hashes();
        vm.prank(SETTLER);
        credit.openBatch(batchId, SLOT_FROM, SLOT_TO, ROOT, list);
    }

    function push(bytes32 batchId, uint256 index) internal {
        bytes32[] memory chunk = chunks[index];
        vm.prank(SETTLER);
        credit.pushChunk(batchId, index, chunk);
    }

    function pushAll(bytes32 batchId) internal {
        for (uint256 i = 0; i < chunks.length; ++i) {
            push(batchId, i);
        }
    }

    function finalise(bytes32 batchId) internal {
        vm.prank(SETTLER);
        credit.finaliseBatch(batchId);
    }

    function abandon(bytes32 batchId) internal {
        vm.prank(SETTLER);
        credit.abandonBatch(batchId);
    }

    function release(bytes32 batchId, uint256 index) internal {
        bytes32[] memory chunk = chunks[index];
        credit.releaseChunk(batchId, index, chunk);
    }

    function releaseAll(bytes32 batchId) internal {
        for (uint256 i = 0; i < chunks.length; ++i) {
            release(batchId, i);
        }
    }

    function assertPhase(IChunkedSettlement.BatchPhase expected) internal view {
        (, IChunkedSettlement.BatchPhase phase,,,,) = credit.batchInProgress();
        vm.assertEq(uint256(phase), uint256(expected), "phase");
    }

    function assertHeld(uint256 expected) internal view {
        assertCredit(address(credit), expected, "held");
        assertBacked();
    }
}
