// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DemoEuro} from "../../src/DemoEuro.sol";
import {EnergyCredit} from "../../src/EnergyCredit.sol";
import {vm} from "./Vm.sol";

/// @notice Does what members and the settler may do, in any order forge likes, and keeps its own books of it.
contract CreditHandler {
    uint256 public constant MEMBER_COUNT = 6;

    EnergyCredit internal immutable CREDIT;
    DemoEuro internal immutable EURO;
    address internal immutable SETTLER;

    /// @notice What each member should hold.
    mapping(address member => uint256) public expected;
    uint256 public deposited;
    uint256 public paid;
    uint256 public settledCount;
    /// @notice True once something was allowed that must not be, or refused that must be allowed.
    bool public ruleBroken;

    constructor(EnergyCredit credit, DemoEuro euro, address settler) {
        (CREDIT, EURO, SETTLER) = (credit, euro, settler);
    }

    function member(uint256 index) public pure returns (address) {
        return address(uint160(0x1000 + 0x10 * (index % MEMBER_COUNT)));
    }

    function batchId(uint256 number) public pure returns (bytes32) {
        return keccak256(abi.encode("batch", number));
    }

    function deposit(uint256 who, uint80 amount) public virtual {
        if (amount == 0) return;
        EURO.mint(address(this), amount);
        EURO.approve(address(CREDIT), amount);
        CREDIT.depositFor(member(who), amount);
        expected[member(who)] += amount;
        deposited += amount;
    }

    function requestWithdrawal(uint256 who, uint256 amount) external {
        (uint256 requested,,) = CREDIT.withdrawalOf(member(who));
        uint256 has = expected[member(who)];
        if (requested != 0 || has == 0) return;
        vm.prank(member(who));
        CREDIT.requestWithdrawal(1 + amount % has);
    }

    function cancelWithdrawal(uint256 who) external {
        (uint256 requested,,) = CREDIT.withdrawalOf(member(who));
        if (requested == 0) return;
        vm.prank(member(who));
        CREDIT.cancelWithdrawal();
    }

    function claimWithdrawal(uint256 who) external {
        (, uint256 covered, uint64 claimableAt) = CREDIT.withdrawalOf(member(who));
        vm.prank(member(who));
        try CREDIT.claimWithdrawal() returns (uint256 amount) {
            if (!due(claimableAt) || amount != covered) ruleBroken = true;
            expected[member(who)] -= amount;
            paid += amount;
        } catch {
            if (due(claimableAt)) ruleBroken = true;
        }
    }

    function due(uint64 claimableAt) private view returns (bool) {
        return claimableAt != 0 && block.timestamp >= claimableAt && !inProgress();
    }

    /// @notice Whether a batch is under way in chunks.
    function inProgress() public view virtual returns (bool) {
        return false;
    }

    /// @notice A ring of debts: each member owes a part of what it holds to the next one.
    function settle(uint256 seed) external {
        if (inProgress()) return settleMeanwhile();
        bytes32[] memory positions = ring(seed);
        for (uint256 i = 0; i < MEMBER_COUNT; ++i) {
            expected[member(i)] = uint256(int256(expected[member(i)]) + amountOf(positions[i]));
        }
        vm.prank(SETTLER);
        CREDIT.settle(batchId(settledCount), 1, 2, batchId(settledCount), positions);
        settledCount += 1;
    }

    /// @dev While a batch is under way in chunks, no other one is settled, nor the same one in one call.
    function settleMeanwhile() private {
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(SETTLER);
            try CREDIT.settle(batchId(settledCount + i), 1, 2, bytes32(uint256(1)), new bytes32[](0)) {
                ruleBroken = true;
            } catch {}
        }
    }

    function amountOf(bytes32 position) internal pure returns (int256) {
        return int96(uint96(uint256(position)));
    }

    function ring(uint256 seed) internal view returns (bytes32[] memory positions) {
        int256[MEMBER_COUNT] memory net;
        for (uint256 i = 0; i < MEMBER_COUNT; ++i) {
            uint256 owed = uint256(keccak256(abi.encode(seed, i))) % (expected[member(i)] / 2 + 1);
            net[i] -= int256(owed);
            net[(i + 1) % MEMBER_COUNT] += int256(owed);
        }
        positions = new bytes32[](MEMBER_COUNT);
        for (uint256 i = 0; i < MEMBER_COUNT; ++i) {
            positions[i] = bytes32((uint256(uint160(member(i))) << 96) | uint96(int96(net[i])));
        }
    }

    /// @notice An id that was settled is refused, with whatever positions.
    function settleAgain(uint256 number) external {
        if (settledCount == 0) return;
        bytes32 id = batchId(number % settledCount);
        vm.prank(SETTLER);
        try CREDIT.settle(id, 1, 2, bytes32(uint256(1)), new bytes32[](0)) {
            ruleBroken = true;
        } catch {}
    }

    function transfer(uint256 from, uint256 to, uint256 amount) external {
        vm.prank(member(from));
        try CREDIT.transfer(member(to), amount) {
            ruleBroken = true;
        } catch {}
    }

    function wait_(uint32 secondsLater) external {
        vm.warp(block.timestamp + secondsLater % 5 days);
    }
}
