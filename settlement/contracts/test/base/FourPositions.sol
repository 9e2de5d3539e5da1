// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChunkedSettlement} from "../../src/IChunkedSettlement.sol";
import {ChunkedTest} from "./ChunkedTest.sol";
import {vm} from "./Vm.sol";

/// @notice A batch of four positions in two chunks: Alice and Carol are due 30 and 40, Bob and Dora owe 20 and 50.
abstract contract FourPositions is ChunkedTest {
    // Above the others.
    address internal constant DORA = address(0xD0A0000000);
    bytes32 internal constant OTHER = keccak256("batch 2");

    function setUp() public override {
        super.setUp();
        fund(ALICE, 100);
        fund(BOB, 100);
        fund(CAROL, 100);
        fund(DORA, 100);
        cut(four(30, -20, 40, -50), 2);
    }

    function four(int96 alice, int96 bob, int96 carol, int96 dora)
        internal
        pure
        returns (bytes32[] memory positions)
    {
        positions = new bytes32[](4);
        positions[0] = position(ALICE, alice);
        positions[1] = position(BOB, bob);
        positions[2] = position(CAROL, carol);
        positions[3] = position(DORA, dora);
    }

    function assertBalances(uint256 alice, uint256 bob, uint256 carol, uint256 dora) internal view {
        assertCredit(ALICE, alice, "alice");
        assertCredit(BOB, bob, "bob");
        assertCredit(CAROL, carol, "carol");
        assertCredit(DORA, dora, "dora");
        assertHeld(400 - alice - bob - carol - dora);
    }

    function expectWrongPhase(IChunkedSettlement.BatchPhase phase) internal {
        vm.expectRevert(abi.encodeWithSelector(IChunkedSettlement.WrongBatchPhase.selector, BATCH, phase));
    }
}
