"""Faults that are made on purpose, and counted: crashes, full disks, damaged files, lost servers, hostile input."""
