// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChunkedTest} from "./base/ChunkedTest.sol";
import {vm} from "./base/Vm.sol";

/// @dev What a position costs, the whole transaction counted: its base price, calldata, execution. `npm run gas` prints
/// the figures. Each call is a transaction of its own here, so that storage is cold as it is on a chain.
contract GasTest is ChunkedTest {
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
        report("gas a position at 10", 10, false, 15_000);
    }

    /// forge-config: default.isolate = true
    function test_gasOf100() public {
        report("gas a position at 100", 100, false, 9000);
    }

    /// forge-config: default.isolate = true
    function test_gasOf1000() public {
        report("gas a position at 1000", 1000, false, 8400);
    }

    /// @dev An account's first credit takes a new word of storage.
    /// forge-config: default.isolate = true
    function test_gasOf1000WithNewCreditors() public {
        report("gas a position at 1000, every creditor new", 1000, true, 17_000);
    }

    // ---- in chunks

    // The lowest account, which the others get their funds from: by settlement, in few calls.
    address private constant BANK = address(1);

    /// @dev In reach of a transaction of EIP-7825.
    uint256 private constant TRANSACTION_GAS = 1 << 24;

    uint256 private dearest;

    function fundAll(bytes32[] memory positions) private {
        uint256 size = 1000;
        for (uint256 start = 0; start < positions.length; start += size) {
            uint256 count = positions.length - start < size ? positions.length - start : size;
            bytes32[] memory part = new bytes32[](count + 1);
            part[0] = position(BANK, -int96(uint96(FUNDS * count)));
            for (uint256 i = 0; i < count; ++i) {
                part[i + 1] = position(address(bytes20(positions[start + i])), int96(uint96(FUNDS)));
            }
            fund(BANK, FUNDS * count);
            settle(keccak256(abi.encode("funds", start)), part);
        }
    }

    /// @dev Counts the call before.
    function spent() private returns (uint256 gas) {
        gas = vm.lastCallGas().gasTotalUsed;
        vm.assertLe(gas, TRANSACTION_GAS, "one transaction");
        if (gas > dearest) dearest = gas;
    }

    function pushCosts() private returns (uint256 gas) {
        for (uint256 i = 0; i < chunks.length; ++i) {
            push(BATCH, i);
            gas += spent();
        }
    }

    function releaseCosts() private returns (uint256 gas) {
        for (uint256 i = 0; i < chunks.length; ++i) {
            release(BATCH, i);
            gas += spent();
        }
    }

    function chunked(uint256 count, uint256 limit, string memory what) private {
        bytes32[] memory positions = batchOf(count);
        fundAll(positions);
        cut(positions, credit.MAX_CHUNK_POSITIONS());
        open(BATCH);
        uint256 opened = spent();
        uint256 pushed = pushCosts();
        finalise(BATCH);
        uint256 gas = opened + pushed + spent() + releaseCosts();
        vm.assertTrue(credit.isSettled(BATCH), "settled");
        emit log_named_uint(what, gas / count);
        emit log_named_uint("  transactions", 2 + 2 * chunks.length);
        emit log_named_uint("  gas of the dearest", dearest);
        vm.assertLe(gas / count, limit, what);
    }

    /// forge-config: default.isolate = true
    function test_gasInChunksOf2000() public {
        chunked(2000, 9500, "gas a position in chunks at 2000");
    }

    /// forge-config: default.isolate = true
    function test_gasInChunksOf5000() public {
        chunked(5000, 9500, "gas a position in chunks at 5000");
    }

    /// @dev A chunk that could be pushed but not released would hold its debtors' credits for ever.
    /// forge-config: default.isolate = true
    function test_dearestChunkFitsATransaction() public {
        uint256 count = credit.MAX_CHUNK_POSITIONS();
        bytes32[] memory positions = new bytes32[](count + 1);
        positions[0] = position(BANK, -int96(uint96(count)));
        for (uint256 i = 1; i <= count; ++i) {
            // Addresses without a zero byte, each of them new.
            positions[i] = position(address(uint160(type(uint160).max - count + i)), 1);
        }
        fund(BANK, count);
        chunks.push(new bytes32[](1));
        chunks[0][0] = positions[0];
        chunks.push(new bytes32[](count));
        for (uint256 i = 0; i < count; ++i) {
            chunks[1][i] = positions[i + 1];
        }
        open(BATCH);
        pushCosts();
        finalise(BATCH);
        releaseCosts();
        emit log_named_uint("gas of the dearest release", dearest);
    }

    /// @dev Each debtor is emptied and then paid back: a new word of storage each.
    /// forge-config: default.isolate = true
    function test_dearestReturnFitsATransaction() public {
        uint256 count = credit.MAX_CHUNK_POSITIONS();
        bytes32[] memory positions = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            address account = address(uint160(type(uint160).max - count + i));
            positions[i] = position(account, -int96(uint96(FUNDS)));
        }
        fundAll(positions);
        cut(positions, count);
        open(BATCH);
        pushCosts();
        abandon(BATCH);
        emit log_named_uint("gas of the dearest return", releaseCosts());
    }

    /// forge-config: default.isolate = true
    function test_mostChunksAreOpenedInATransaction() public {
        bytes32[] memory list = new bytes32[](credit.MAX_CHUNKS());
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = keccak256(abi.encode(i));
        }
        vm.prank(SETTLER);
        credit.openBatch(BATCH, SLOT_FROM, SLOT_TO, ROOT, list);
        emit log_named_uint("gas of opening the most chunks", spent());
    }
}
