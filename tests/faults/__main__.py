from tests.faults import page

print(page(), end="")
