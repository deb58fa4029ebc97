"""Operations: health of the services, usage, drift, and feedback of users."""
