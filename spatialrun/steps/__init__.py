"""The catalogue: thin declarations that bind methods to slots."""
