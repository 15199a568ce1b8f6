"""The microscope registry: devices, their keys and heartbeats, and the microscope's own client."""
