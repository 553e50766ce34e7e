"""What people call: scikit-learn faces, and no formulas."""
