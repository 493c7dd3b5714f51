"""Responses that cost money or device time, stored by their whole request and by the content of the model."""
