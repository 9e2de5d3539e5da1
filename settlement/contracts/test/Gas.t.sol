// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CreditTest} from "./base/CreditTest.sol";
import {vm} from "./base/Vm.sol";

/// @dev What a position costs, the whole transaction counted: its base price, calldata, execution. `npm run gas` prints
/// the figures. Each call is a transaction of its own here, so that storage is cold as it is on a chain.
contract GasTest is CreditTest {
    /// @dev Shown by forge.
    event log_named_uint(string key, uint256 value);

    // Above all positions, so that no debtor is emptied: that would earn refunds.
    uint256 private constant FUNDS = 1e21;

    /// @dev Addresses spread evenly like real ones, in order; amounts like a slot's, up to one unit of currency.
    function batchOf(uint256 count) private pure returns (bytes32[] memory positions) {
        positions = new bytes32[](count);
        uint160 step = type(uint160).max / uint160(count + 1);
        int96 sum = 0;
        for (uint256 i = 0; i < count; ++i) {
            uint256 random = uint256(keccak256(abi.encode(count, i)));
            int96 amount = int96(uint96(random % 1e18)) - 0.5e18;
            if (i + 1 == count) amount = -sum;
            sum += amount;
            address account = address(step * uint160(i + 1) + uint160(random % step));
            positions[i] = position(account, amount);
        }
    }

    function gasPerPosition(uint256 count, bool creditorsAreNew) private returns (uint256) {
        bytes32[] memory positions = batchOf(count);
        for (uint256 i = 0; i < count; ++i) {
            if (creditorsAreNew && int96(uint96(uint256(positions[i]))) > 0) continue;
            fund(address(bytes20(positions[i])), FUNDS);
        }
        settle(keccak256(abi.encode(count)), positions);
        return vm.lastCallGas().gasTotalUsed / count;
    }

    function report(string memory what, uint256 count, bool creditorsAreNew, uint256 limit) private {
        uint256 gas = gasPerPosition(count, creditorsAreNew);
        emit log_named_uint(what, gas);
        vm.assertLe(gas, limit, what);
    }

    /// forge-config: default.isolate = true
    function test_gasOf10() public {
        report("gas a position at 10", 10, false, 16_000);
    }

    /// forge-config: default.isolate = true
    function test_gasOf100() public {
        report("gas a position at 100", 100, false, 10_000);
    }

    /// forge-config: default.isolate = true
    function test_gasOf1000() public {
        report("gas a position at 1000", 1000, false, 9000);
    }

    /// @dev An account's first credit takes a new word of storage.
    /// forge-config: default.isolate = true
    function test_gasOf1000WithNewCreditors() public {
        report("gas a position at 1000, every creditor new", 1000, true, 18_000);
    }
}
