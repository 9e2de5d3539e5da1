// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title A currency for demonstrations
/// @notice An ERC-20 of 18 decimals that its owner makes at will. It is worth nothing and stands for the currency token
/// that a real community would use.
contract DemoEuro is ERC20, ERC20Permit, Ownable {
    /// @param initialOwner The account that may mint.
    constructor(address initialOwner)
        ERC20("Demonstration Euro", "dEUR")
        ERC20Permit("Demonstration Euro")
        Ownable(initialOwner)
    {}

    /// @notice Makes `amount` new base units (10^-18 dEUR) and gives them to `to`. Owner only.
    function mint(address to, uint256 amount) external onlyOwner {
        _mint(to, amount);
    }
}
