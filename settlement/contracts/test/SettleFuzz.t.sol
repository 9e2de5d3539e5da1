// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Positions} from "../src/Positions.sol";
import {CreditTest} from "./base/CreditTest.sol";
import {vm, Vm} from "./base/Vm.sol";

/// @dev Random batches against a plain model: each account ends with what it held plus its position.
contract SettleFuzzTest is CreditTest {
    uint256 private constant FUNDS = 1e30;
    uint256 private constant MAX_ACCOUNTS = 24;

    /// @dev Accounts ascend with random gaps; the last takes what is missing to zero.
    function build(uint256 seed, uint256 count)
        private
        pure
        returns (bytes32[] memory positions, int96[] memory amounts)
    {
        positions = new bytes32[](count);
        amounts = new int96[](count);
        uint160 account = 0x1000;
        int96 sum = 0;
        for (uint256 i = 0; i < count; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            account += uint160(random % type(uint128).max) + 1;
            // A third of the amounts is zero or small, so that exact matches occur.
            int96 amount = int96(uint96(random >> 176));
            amounts[i] = i + 1 == count ? -sum : (random % 3 == 0 ? amount % 4 : amount % 1e24);
            sum += amounts[i];
            positions[i] = position(address(account), amounts[i]);
        }
    }

    function testFuzz_eachAccountGetsItsPosition(uint256 seed, uint8 size) public {
        (bytes32[] memory positions, int96[] memory amounts) = build(seed, 1 + size % MAX_ACCOUNTS);
        for (uint256 i = 0; i < positions.length; ++i) {
            fund(Positions.account(positions[i]), FUNDS);
        }
        uint256 supply = credit.totalSupply();
        vm.recordLogs();
        settle(BATCH, positions);
        for (uint256 i = 0; i < positions.length; ++i) {
            uint256 expected = uint256(int256(FUNDS) + amounts[i]);
            assertCredit(Positions.account(positions[i]), expected, "funds plus position");
        }
        vm.assertEq(credit.totalSupply(), supply, "supply kept");
        assertBacked();
        assertEvents(vm.getRecordedLogs(), positions);
    }

    /// @dev The Transfer events alone rebuild every position, and there are fewer of them than positions.
    function assertEvents(Vm.Log[] memory logs, bytes32[] memory positions) private pure {
        vm.assertLe(logs.length, positions.length, "events: fewer transfers than positions, and the batch");
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

    function testFuzz_unbalancedIsRefused(uint256 seed, uint8 size, int96 mistake) public {
        (bytes32[] memory positions, int96[] memory amounts) = build(seed, 1 + size % MAX_ACCOUNTS);
        uint256 index = seed % positions.length;
        // Zero would balance; the bound keeps the sum of the two within an int96.
        int96 off = mistake % 1e24;
        vm.assume(off != 0);
        positions[index] = position(Positions.account(positions[index]), amounts[index] + off);
        vm.expectRevert(abi.encodeWithSelector(Positions.PositionsNotBalanced.selector, int256(off)));
        settle(BATCH, positions);
    }

    function testFuzz_unsortedIsRefused(uint256 seed, uint8 size) public {
        (bytes32[] memory positions,) = build(seed, 2 + size % MAX_ACCOUNTS);
        uint256 index = 1 + seed % (positions.length - 1);
        (positions[index - 1], positions[index]) = (positions[index], positions[index - 1]);
        vm.expectRevert(abi.encodeWithSelector(Positions.PositionsNotAscending.selector, index));
        settle(BATCH, positions);
    }

    function testFuzz_packingRoundTrips(address account, int96 amount) public pure {
        bytes32 packed = position(account, amount);
        vm.assertEq(Positions.account(packed), account, "account");
        vm.assertTrue(Positions.amount(packed) == amount, "amount");
    }
}
