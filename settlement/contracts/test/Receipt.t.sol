// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CreditTest} from "./base/CreditTest.sol";
import {vm} from "./base/Vm.sol";

/// @dev Receipts against a tree of three leaves, built here by the documented rule: the third is carried up unpaired.
contract ReceiptTest is CreditTest {
    bytes32[3] private leaves;
    bytes32 private inner;
    bytes32 private root;

    function setUp() public override {
        super.setUp();
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = keccak256(bytes.concat(keccak256(abi.encode("statement", i))));
        }
        inner = node(leaves[0], leaves[1]);
        root = node(inner, leaves[2]);
        vm.prank(SETTLER);
        credit.settle(BATCH, SLOT_FROM, SLOT_TO, root, new bytes32[](0));
    }

    function node(bytes32 a, bytes32 b) private pure returns (bytes32) {
        return a < b ? keccak256(bytes.concat(a, b)) : keccak256(bytes.concat(b, a));
    }

    function list(bytes32 a, bytes32 b) private pure returns (bytes32[] memory proof) {
        proof = new bytes32[](2);
        (proof[0], proof[1]) = (a, b);
    }

    function single(bytes32 a) private pure returns (bytes32[] memory proof) {
        proof = new bytes32[](1);
        proof[0] = a;
    }

    function test_everyLeafVerifies() public view {
        vm.assertTrue(credit.verifyReceipt(BATCH, leaves[0], list(leaves[1], leaves[2])), "first");
        vm.assertTrue(credit.verifyReceipt(BATCH, leaves[1], list(leaves[0], leaves[2])), "second");
        vm.assertTrue(credit.verifyReceipt(BATCH, leaves[2], single(inner)), "third");
    }

    function testFuzz_anotherLeafFails(bytes32 leaf) public view {
        vm.assume(leaf != leaves[0] && leaf != leaves[1]);
        vm.assertFalse(credit.verifyReceipt(BATCH, leaf, list(leaves[1], leaves[2])), "wrong leaf");
    }

    function test_wrongProofFails() public view {
        vm.assertFalse(credit.verifyReceipt(BATCH, leaves[0], list(leaves[2], leaves[1])), "order");
        vm.assertFalse(credit.verifyReceipt(BATCH, leaves[0], new bytes32[](0)), "empty");
    }

    function test_unsettledBatchFails() public view {
        // With no root stored, an empty proof of the zero leaf would match it.
        vm.assertFalse(credit.verifyReceipt(keccak256("other"), 0, new bytes32[](0)), "unsettled");
    }

    function test_singleStatementIsItsOwnRoot() public {
        settle(keccak256("batch 2"), new bytes32[](0));
        vm.assertTrue(credit.verifyReceipt(keccak256("batch 2"), ROOT, new bytes32[](0)), "leaf is root");
    }
}
