"""The numbers in the README: ours and AllenSDK 2.16.2's, in one run on one machine."""
