// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Net positions of a batch, one word each
/// @notice A position says what one account gains or loses in a batch. It is packed into one `bytes32`, so that it costs
/// one word of calldata:
///
/// | bits      | bytes (from the left) | content                                                       |
/// |-----------|-----------------------|---------------------------------------------------------------|
/// | 255 .. 96 | 0 .. 19               | the account                                                   |
/// | 95 .. 0   | 20 .. 31              | the amount, `int96` in two's complement, in the credit's base unit |
///
/// A negative amount is owed (the account is a debtor), a positive one is due (a creditor), zero moves nothing.
/// An `int96` of 18 decimals reaches 39 thousand million units of currency.
///
/// A list of positions is balanced when its accounts strictly ascend (so none is there twice) and its amounts sum to
/// zero. The first account is above zero, so the zero address is refused as well.
library Positions {
    /// @notice The account at `index` is not above the one before it.
    /// @param index Zero-based index of the offending entry in the list (in a batch of chunks: in the chunk).
    error PositionsNotAscending(uint256 index);

    /// @notice The amounts of the positions do not sum to zero.
    /// @param sum What they sum to, in the credit's base unit.
    error PositionsNotBalanced(int256 sum);

    /// @notice The account of a position.
    function account(bytes32 position) internal pure returns (address) {
        // Takes the left 20 bytes, as the packing has it.
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(bytes20(position));
    }

    /// @notice The signed amount of a position, in the credit's base unit.
    function amount(bytes32 position) internal pure returns (int256) {
        // The cast to uint96 keeps the low 96 bits, the one to int96 reads the sign from the highest of them.
        // forge-lint: disable-next-line(unsafe-typecast)
        return int96(uint96(uint256(position)));
    }

    /// @notice Reverts unless the accounts strictly ascend from above the zero address and the amounts sum to zero.
    function requireBalanced(bytes32[] calldata positions) internal pure {
        (int256 sum,) = sumAscending(positions, address(0));
        if (sum != 0) revert PositionsNotBalanced(sum);
    }

    /// @notice What the amounts sum to, and the last account. Reverts unless the accounts strictly ascend from above
    /// `floor`; of no positions it is the last.
    function sumAscending(bytes32[] calldata positions, address floor)
        internal
        pure
        returns (int256 sum, address last)
    {
        uint160 previous = uint160(floor);
        for (uint256 i = 0; i < positions.length; ++i) {
            bytes32 position = positions[i];
            uint160 current = uint160(account(position));
            if (current <= previous) revert PositionsNotAscending(i);
            previous = current;
            // Fewer than 2^64 amounts below 2^95 stay below 2^255.
            unchecked {
                sum += amount(position);
            }
        }
        last = address(previous);
    }
}
