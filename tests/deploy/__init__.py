"""What is deployed beside the gateway, held to the gateway."""
