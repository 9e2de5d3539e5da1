// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

// The contract that holds the roles is OpenZeppelin's, unchanged. It is named here so that it is compiled with the same
// settings as the others and its artifact can be deployed beside theirs.
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
