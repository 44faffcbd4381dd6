"""What the integration tests and the case driver share: certificates, servers, clients, the proxy under test."""
